"""Descriptors that run out, and are there again: nothing spins, nothing stays broken, and what cannot be done says so.

BROKERD_ROUNDS is how often; 50 in a long run."""

import contextlib
import os
import re
import socket
import time

import pytest
from harness import unix_http
from harness.managed import succeed
from harness.plugin_images import make_plugin
from harness.running import create_sample
from harness.waiting import wait_until

ROUNDS = int(os.environ.get("BROKERD_ROUNDS", "3"))
LIMIT = 256
CLIENTS = LIMIT + 100
NAME = "acme/kept:latest"
#: What is said where a descriptor is missing (strerror(3)), by us or by a program that we have started.
SHORTAGE = re.compile(r"[Tt]oo many open files")


class Exhaustion:
    """Takes all descriptors that brokerd may have, by connections to a published socket that say nothing, until release()."""

    def __init__(self, broker, name):
        self.broker, self.path, self.clients = broker, str(broker.published(name)), []

    def take(self):
        while len(self.clients) < CLIENTS:
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(self.path)
            self.clients.append(client)
        wait_until(lambda: self.broker.descriptors() >= LIMIT - 1, lambda: f"{LIMIT} descriptors: {self.broker.descriptors()}")
        return self

    def release(self):
        while self.clients:
            self.clients.pop().close()

    __enter__ = take

    def __exit__(self, *_error):
        self.release()


@pytest.fixture
def short(broker, mobyfs, directory, closing):
    """A broker with few descriptors, an active plugin and a disabled one, and a connection to its control socket."""
    plugin = mobyfs()
    made = broker(prefix=["prlimit", f"--nofile={LIMIT}"], extra=["--live-restore=false"])
    made.define("mobyfs", plugin.url)
    made.start()
    made.wait_state("mobyfs", "active")
    succeed(made.pluginctl("create", NAME, make_plugin(directory / "p")))
    return made


@contextlib.contextmanager
def reserve(broker):
    """A connection to the control socket that rests: it makes room for one that comes when there are no descriptors left."""
    connection = unix_http.Connection(broker.control, timeout=60)
    assert unix_http.send(connection, "GET", "/_ping").status == 200
    with contextlib.closing(connection):
        yield


def post(broker, target, body):
    return unix_http.request(broker.control, "POST", target, body, timeout=60)


def setting(broker):
    plugin = broker.get(f"/plugins/{NAME}/json").json()
    return next(entry for entry in plugin["Settings"]["Env"] if entry.startswith("DEBUG="))


def test_to_the_last_descriptor_and_back(short):
    """Calls wait, what changes state is done or is refused with a sentence, and afterwards everything is as before."""
    descriptors, refused, spent = short.descriptors(), 0, []
    for number in range(ROUNDS):
        held = setting(short)
        with reserve(short), Exhaustion(short, "mobyfs"):
            before, begin = short.cpu_seconds(), time.monotonic()
            time.sleep(0.5)
            spent.append((short.cpu_seconds() - before) / (time.monotonic() - begin))
            reply = post(short, f"/plugins/{NAME}/set", [f"DEBUG={number + 1}"])
            if reply.status != 204:
                refused += 1
                assert reply.status == 500 and SHORTAGE.search(reply.error), reply
        wait_until(lambda: short.call("mobyfs", "VolumeDriver.List", timeout=60).status == 200, "calls again")
        assert setting(short) == (f"DEBUG={number + 1}" if reply.status == 204 else held)
        assert post(short, f"/plugins/{NAME}/set", [f"DEBUG={number + 1}"]).status == 204
        assert setting(short) == f"DEBUG={number + 1}"
    print(f"{ROUNDS} rounds to {LIMIT} descriptors and back: {refused} changes refused with a sentence, {ROUNDS - refused} made; processor "
          f"at most {max(spent):.1%} meanwhile")
    assert max(spent) < 0.2, "it spins"
    wait_until(lambda: short.descriptors() <= descriptors + 4, lambda: f"{descriptors} descriptors: {short.descriptors()}", 30)


def test_a_plugin_that_is_defined_meanwhile_is_found_and_activated(short, mobyfs):
    second = mobyfs(name="second")
    with Exhaustion(short, "mobyfs"):
        short.define("second", second.url)
        short.define("mobyfs", second.url)  # a change of what is there
        wait_until(lambda: "cannot be read for now" in short.process.output(), "word of the shortage")
    short.wait_state("second", "active", 60)
    wait_until(lambda: short.plugin("mobyfs")["Endpoint"] == second.url, "changed definition", 60)
    short.wait_state("mobyfs", "active", 60)
    for name in ("second", "mobyfs"):
        assert short.call(name, "VolumeDriver.List", timeout=30).status == 200


def test_a_reload_meanwhile_changes_nothing_or_everything(short):
    (short.directory / "brokerd.conf").write_text("max-connections = 5000\n")
    with Exhaustion(short, "mobyfs"):
        short.reload()
        wait_until(lambda: "max-connections" in short.process.output() or "refused" in short.process.output(), "word of the reload", 30)
    assert short.call("mobyfs", "VolumeDriver.List", timeout=60).status == 200
    assert setting(short) == "DEBUG=0", "plugins.json is read as it was"
    short.reload()
    wait_until(lambda: "now in force: max-connections" in short.process.output(), "the settings", 30)
    assert short.plugin("mobyfs")["State"] == "active"


def test_a_managed_plugin_that_cannot_be_started_says_why_and_starts_afterwards(short):
    create_sample(short, "acme/sample")
    with reserve(short), Exhaustion(short, "mobyfs"):
        reply = post(short, "/plugins/acme/sample/enable?timeout=5", {})
        assert reply.status >= 500 and reply.error, reply
    succeed(short.pluginctl("enable", "acme/sample"))
    short.wait_state("acme/sample:latest", "running", 30)
    short.call("acme/sample", "VolumeDriver.List", timeout=30)
    succeed(short.pluginctl("disable", "acme/sample"))
    succeed(short.pluginctl("rm", "acme/sample"))
