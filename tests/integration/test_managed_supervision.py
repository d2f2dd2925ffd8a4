"""Plugins that run, end and misbehave: brokerd keeps those that are wanted, and says what goes on."""

import datetime
import json
import os
import pathlib
import signal
import threading
import time

import pytest
from harness.managed import succeed
from harness.running import create_sample, enable_sample, wait_gone
from harness.waiting import wait_until

NAME = "acme/kept"
FULL = f"{NAME}:latest"


@pytest.fixture
def keeper(broker):
    """A broker that takes its plugins along when it ends."""
    return broker(extra=["--live-restore=false"]).start()


def shown(broker):
    return broker.plugin(FULL)


def kill_plugin(broker):
    """kill -9 of its process, as a crash; returns its number."""
    pid = broker.wait_state(FULL, "running")["Pid"]
    os.kill(pid, signal.SIGKILL)
    return pid


def wait_restarted(broker, restarts):
    def again():
        plugin = shown(broker)
        return plugin if plugin["Restarts"] == restarts and plugin["State"] == "running" else None
    return wait_until(again, lambda: f"restart {restarts}: {shown(broker)}", 40)


def pause_of(plugin):
    """Seconds from the end of a plugin to its next start, as planned."""
    since, then = (datetime.datetime.fromisoformat(plugin[key].replace("Z", "+00:00")) for key in ("Since", "NextAttempt"))
    return (then - since).total_seconds()


def is_left(broker, plugin):
    """What a plugin that does not run has left on the host."""
    runtime = broker.runtime
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    left = [str(path) for path in (runtime / "bundles" / plugin["Id"], runtime / "exec" / plugin["Id"],
                                   runtime / "runtime-state" / plugin["Id"]) if path.exists()]
    return left + [line for line in mounts.splitlines() if plugin["Id"] in line]


def test_a_killed_plugin_is_started_again_and_says_how_it_ended(keeper):
    before = enable_sample(keeper, NAME)
    assert (before["Restarts"], before["LastExit"]) == (0, "")
    events = keeper.events()
    pid = kill_plugin(keeper)
    event = events.wait_for(FULL, "restarting")
    assert "was killed by SIGKILL" in event["Detail"], event
    after = wait_restarted(keeper, 1)
    assert after["LastExit"].startswith("was killed by SIGKILL"), after
    assert after["Pid"] not in (0, pid)
    assert after["Reason"] == ""
    wait_gone(pid)
    assert keeper.call(NAME, "VolumeDriver.List").status == 200


def test_a_look_up_by_the_short_name_waits_for_the_start(keeper):
    create_sample(keeper, NAME, "slow=1500")
    enabling = threading.Thread(target=lambda: succeed(keeper.pluginctl("enable", NAME)))
    enabling.start()
    try:
        keeper.wait_state(FULL, "starting")
        found = keeper.get(f"/broker/v1/plugins/{NAME}?timeout=20", timeout=30)
        assert found.status == 200, found
        assert found.json()["State"] == "running"
    finally:
        enabling.join()


def test_a_call_waits_for_the_restart_and_succeeds(keeper):
    enable_sample(keeper, NAME)
    for count in range(1, 4):
        pid = kill_plugin(keeper)
        wait_gone(pid)
        reply = keeper.call(NAME, "VolumeDriver.List", {}, timeout=20)
        assert reply.status == 200, reply
        assert shown(keeper)["Restarts"] == count


def test_calls_from_many_fail_only_while_the_plugin_has_them(keeper):
    """What had reached the plugin when it died is answered with an error that names it, everything else succeeds."""
    enable_sample(keeper, NAME)
    replies, kills, stop = [], [], threading.Event()

    def caller():
        while not stop.is_set():
            begun = time.monotonic()
            reply = keeper.call(NAME, "VolumeDriver.List", {}, timeout=30)
            replies.append((reply, begun, time.monotonic()))

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    for count in range(1, 4):
        began = time.monotonic()
        pid = kill_plugin(keeper)
        wait_gone(pid)
        kills.append((began, time.monotonic()))
        wait_restarted(keeper, count)
    stop.set()
    for thread in threads:
        thread.join(60)
    failed = [(reply, begun, ended) for reply, begun, ended in replies if reply.status != 200]
    for reply, begun, ended in failed:
        assert reply.status == 502 and NAME in reply.json()["Err"], reply
        # A process that is killed takes a moment to end, in which its socket still takes calls.
        assert any(begun <= gone and ended >= killed for killed, gone in kills), (reply, begun, ended, kills)
    assert len(replies) > len(failed)


def test_pauses_grow_while_a_plugin_crashes_over_and_over(keeper):
    plugin = enable_sample(keeper, NAME)
    seen = {}
    for count in range(1, 6):
        kill_plugin(keeper)

        def ended():
            now = shown(keeper)
            return now if now["Restarts"] == count else None
        now = wait_until(ended, lambda: f"end {count}: {shown(keeper)}")
        if now["State"] == "restarting":
            seen[count] = pause_of(now)
        if count < 5:
            wait_restarted(keeper, count)
    assert {3, 4, 5} <= seen.keys(), seen  # shorter ones may be over before anybody looks
    for count, pause in seen.items():
        assert pause == pytest.approx(0.1 * 2 ** (count - 1), abs=0.05), seen
    # Disabled within the pause: at once, and for good.
    succeed(keeper.pluginctl("disable", NAME))
    now = shown(keeper)
    assert (now["State"], now["Enabled"], now["Pid"]) == ("disabled", False, 0)
    assert is_left(keeper, plugin) == []
    # Enabled anew, all is forgotten.
    succeed(keeper.pluginctl("enable", NAME))
    assert shown(keeper)["Restarts"] == 0


def test_a_plugin_that_crashes_by_itself_tells_its_last_status(keeper):
    enable_sample(keeper, NAME, "crash-on-create")
    reply = keeper.call(NAME, "VolumeDriver.Create", {"Name": "v"})
    assert reply.status == 502, reply
    assert wait_restarted(keeper, 1)["LastExit"].startswith("exited with status 42")


def test_a_plugin_that_ends_at_once_is_not_enabled(keeper):
    create_sample(keeper, NAME, "exit=3")
    failed = keeper.pluginctl("enable", NAME)
    assert failed.returncode == 1, failed
    assert "exited with status 3" in failed.stderr and "the sample plugin was told to exit" in failed.stderr, failed
    now = shown(keeper)
    assert (now["State"], now["Enabled"], now["Pid"]) == ("disabled", False, 0)
    assert "exited with status 3" in now["Reason"]
    assert is_left(keeper, now) == []
    succeed(keeper.pluginctl("set", NAME, "BEHAVIOUR="))
    succeed(keeper.pluginctl("enable", NAME))
    assert keeper.wait_state(FULL, "running")["Reason"] == ""


def test_a_plugin_that_never_listens_is_not_enabled(keeper):
    create_sample(keeper, NAME, "never-listen")
    failed = keeper.pluginctl("enable", "--timeout", "1", NAME)
    assert failed.returncode == 1 and "sample.sock" in failed.stderr, failed
    now = shown(keeper)
    assert (now["State"], now["Enabled"], now["Pid"]) == ("disabled", False, 0)
    assert is_left(keeper, now) == []


def test_a_plugin_that_listens_elsewhere_is_told_where(keeper):
    create_sample(keeper, NAME, config={"env": [
        {"name": "SOCKET", "description": "", "settable": ["value"], "value": "/run/docker/plugins/other.sock"}]})
    failed = keeper.pluginctl("enable", "--timeout", "1", NAME)
    assert failed.returncode == 1 and "other.sock" in failed.stderr and "sample.sock" in failed.stderr, failed
    assert shown(keeper)["State"] == "disabled"


def test_a_plugin_that_ignores_sigterm_is_killed(keeper):
    plugin = enable_sample(keeper, NAME, "ignore-term")
    succeed(keeper.pluginctl("disable", NAME))
    now = shown(keeper)
    assert (now["State"], now["Enabled"], now["Pid"]) == ("disabled", False, 0)
    assert now["LastExit"].startswith("was killed by SIGKILL"), now
    wait_gone(plugin["Pid"])
    assert is_left(keeper, now) == []


def test_children_of_a_plugin_end_with_it(keeper):
    enable_sample(keeper, NAME, "fork")
    pid = shown(keeper)["Pid"]
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 1
    kill_plugin(keeper)
    wait_gone(children[0])
    wait_restarted(keeper, 1)


def test_a_kept_plugin_that_cannot_start_is_failed_and_returns_by_itself(keeper):
    plugin = enable_sample(keeper, NAME)
    program = keeper.state / "plugins" / plugin["Id"] / "rootfs" / "bin" / "sample"
    program.rename(program.with_name("away"))
    kill_plugin(keeper)
    failed = keeper.wait_state(FULL, "failed", 20)
    assert "/bin/sample" in failed["Reason"], failed
    assert failed["Enabled"] is True
    program.with_name("away").rename(program)
    assert keeper.wait_state(FULL, "running", 20)["Restarts"] >= 2
    assert keeper.call(NAME, "VolumeDriver.List").status == 200


def test_many_are_stopped_side_by_side(broker):
    """A broker that ends takes six plugins along that ignore SIGTERM: it waits for them together."""
    keeper = broker(extra=["--live-restore=false"]).start()
    plugins = [enable_sample(keeper, f"acme/p{number}", "ignore-term") for number in range(6)]
    began = time.monotonic()
    keeper.stop()
    assert time.monotonic() - began < 6 * 10, "they were stopped one after the other"
    for plugin in plugins:
        wait_gone(plugin["Pid"])
    keeper.start()
    for number in range(6):
        assert keeper.wait_state(f"acme/p{number}:latest", "running", 30)["Restarts"] == 0
    assert json.loads(succeed(keeper.pluginctl("inspect", "acme/p0")))[0]["Enabled"] is True


@pytest.mark.long
@pytest.mark.parametrize("restart", [False, True])
def test_a_frozen_plugin_is_unhealthy_and_restarted_where_that_is_wanted(broker, restart):
    """Frozen by SIGSTOP: three probes without an answer make it unhealthy."""
    keeper = broker(extra=["--live-restore=false", "--health-interval=1", f"--restart-unhealthy={str(restart).lower()}"]).start()
    pid = enable_sample(keeper, NAME)["Pid"]
    events = keeper.events()
    os.kill(pid, signal.SIGSTOP)
    event = events.wait_for(FULL, "unhealthy", 90)
    assert "has not answered 3 handshakes in a row" in event["Detail"], event
    if restart:  # SIGTERM waits until a stopped process goes on, SIGKILL does not
        after = wait_restarted(keeper, 1)
        assert after["Pid"] != pid and after["LastExit"].startswith("was killed by SIGKILL"), after
    else:
        assert shown(keeper)["State"] == "unhealthy" and shown(keeper)["Pid"] == pid
        os.kill(pid, signal.SIGCONT)
        assert keeper.wait_state(FULL, "running", 30)["Restarts"] == 0
    assert keeper.call(NAME, "VolumeDriver.List").status == 200
