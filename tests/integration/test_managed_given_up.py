"""Clients that go away while plugins start, end and are removed, and those who come right after them."""

import contextlib
import random
import subprocess

import pytest
from harness.managed import succeed
from harness.remains import Remains, assert_nothing_left, assert_state_clean
from harness.running import create_sample, enable_sample
from harness.waiting import wait_until

NAME = "acme/left:latest"


@pytest.fixture
def host(broker):
    return broker().start()


def give_up_after(client, seconds):
    with contextlib.suppress(subprocess.TimeoutExpired):
        client.wait(seconds)
    client.kill()
    client.wait(10)


def idle(broker):
    """The plugin once nothing is done to it any more."""
    def settled():
        plugin = broker.plugin(NAME)
        return plugin if plugin["State"] == ("running" if plugin["Enabled"] else "disabled") else None
    return wait_until(settled, lambda: f"{NAME} to run if it is enabled, and only then: {broker.plugin(NAME)}", 30)


def test_an_enable_that_is_given_up_at_any_moment_is_done_or_undone(host):
    chance = random.Random(11)
    create_sample(host, NAME)
    remains = Remains(host)
    for _ in range(12):
        give_up_after(host.begin("enable", NAME), chance.uniform(0, 0.5))
        if idle(host)["Enabled"]:
            succeed(host.pluginctl("disable", NAME))
        wait_until(lambda: not remains.all(), lambda: f"nothing to be left: {remains.all()}", 10)


def test_who_enables_while_an_enable_that_was_given_up_is_undone_succeeds(host):
    create_sample(host, NAME, "slow=300")
    client = host.begin("enable", NAME)
    wait_until(lambda: host.plugin(NAME)["Pid"], "its process", 10)
    client.kill()
    client.wait(10)

    def enabled():
        result = host.pluginctl("enable", NAME)
        # Until brokerd has seen that the other client is gone.
        assert result.returncode == 0 or "another operation" in result.stderr or "in progress" in result.stderr, result.stderr
        return result.returncode == 0
    wait_until(enabled, "enable to succeed", 20)
    assert idle(host)["Enabled"]
    succeed(host.pluginctl("rm", "-f", NAME))  # plugins outlive brokerd


def test_an_rm_that_is_given_up_while_the_plugin_ends_takes_nothing_from_under_it(host):
    plugin = enable_sample(host, NAME, "ignore-term", {"propagatedMount": "/data"})
    remains = Remains(host)
    remains.note()
    client = host.begin("rm", "-f", NAME)
    host.wait_state(NAME, "stopping")
    client.kill()
    client.wait(10)
    assert idle(host)["Id"] == plugin["Id"]
    succeed(host.pluginctl("rm", NAME))
    assert_nothing_left(remains)
    assert_state_clean(host)
