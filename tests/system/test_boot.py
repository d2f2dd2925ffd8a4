"""A host with docker.io and brokerd that is booted, powered off, and loses its power: who comes before whom, and that
containers get their volumes. By packaging/test --system only."""

import os

import pytest
from docker_host import CONTAINERS, MANAGED, PLAIN, REMOTE, WRITER, installed_host
from harness.engines import IMAGE
from harness.waiting import wait_until
from inside import PATIENCE, assert_none_left, inspect, last_look, scope_of, wait_running

pytestmark = pytest.mark.skipif(not os.environ.get("BROKERD_SYSTEM_TESTS"), reason="runs with packaging/test --system")

# What systemd says of a unit, by the message IDs of its catalogue (sd-messages.h).
STARTING, STARTED = "7d4958e842da4a758f6c1cdc7b36dcc5", "39f53479d3a045ac8e11786248231fbf"
STOPPING, STOPPED = "de5b426a63be47a7b6ac3eaac82e2f6f", "9d1aaa27d60140bd96365438aad20286"


@pytest.fixture(scope="module")
def equipped(packages):
    with installed_host(packages[0]) as machine:
        yield machine


@pytest.fixture
def host(equipped):
    """Booted, whatever the test before has done to it."""
    if equipped.leader is None:
        equipped.boot()
    equipped.answer_late(0)
    return equipped


def assert_brokerd_first(host):
    """It was READY, which is when systemd calls it started, before docker's start began."""
    ready = host.stamp(STARTED, "brokerd.service")
    assert ready < host.stamp(STARTING, "docker.service")
    ready = int(host.show("brokerd.service", "ActiveEnterTimestampMonotonic"))
    assert 0 < ready <= int(host.show("docker.service", "InactiveExitTimestampMonotonic"))


def assert_all_well(host):
    """Nothing failed on the way, and docker had to start no container twice."""
    state = host.wait_written()
    assert all(running and restarts == 0 for running, _pid, restarts in state.values()), state
    assert host.run("systemctl", "--failed", "--no-legend").stdout.strip() == ""
    assert host.show("brokerd.service", "NRestarts") == "0"
    assert [wait_running(host, name)["Restarts"] for name in MANAGED] == [0, 0]
    assert inspect(host, REMOTE)["State"] == "active"
    return state


def test_containers_come_up_again_with_the_host(host):
    before = {name: host.count(name) for name in CONTAINERS}
    host.power_off()
    host.boot()
    assert_brokerd_first(host)
    assert_all_well(host)
    for name, count in before.items():
        now = wait_until(lambda name=name: host.count(name), f"number of {name}", PATIENCE)
        assert now > count, "it goes on with its old number"


def test_a_plugin_that_answers_late_is_waited_for(host):
    """docker asks for it before it is there, and brokerd holds the question."""
    host.answer_late(15)
    host.power_off()
    host.boot()
    assert_brokerd_first(host)
    assert host.stamp(STARTING, "docker.service") < listening(host)
    assert_all_well(host)


@pytest.mark.long
@pytest.mark.parametrize("path, text", [
    ("etc/brokerd/brokerd.conf", "activation-timeout = 55\n"),
    ("etc/systemd/system/docker.service.d/plugins.conf",
     f"[Service]\nExecStartPre=-/usr/bin/pluginctl wait --timeout 300 {REMOTE}\nTimeoutStartSec=6min\n")], ids=["longer calls", "a later docker"])
def test_a_plugin_that_answers_after_more_than_the_usual_wait(host, path, text):
    """Both ways that packaging/docs/boot.md knows."""
    file = host.root / path
    before = file.read_text() if file.exists() else None
    host.write(path, (before or "") + text)
    host.answer_late(42)
    host.power_off()
    host.boot()
    assert_all_well(host)
    file = host.root / path
    file.unlink() if before is None else file.write_text(before)


def listening(host):
    entries = host.journal("--boot", "_SYSTEMD_UNIT=elsewhere.service")
    return next(int(entry["__MONOTONIC_TIMESTAMP"]) for entry in entries if "listening on" in str(entry["MESSAGE"]))


# What engines.Podman says on the command line, as an operator's files: podman-restart.service reads no other.
PODMAN = {"containers.conf": """[containers]
pids_limit=0
[engine]
cgroup_manager="cgroupfs"
runtime="runc"
events_logger="file"
[engine.volume_plugins]
mobyfs="/run/docker/plugins/mobyfs.sock"
""", "storage.conf": """[storage]
driver="vfs"
runroot="/run/containers/storage"
graphroot="/var/lib/containers/storage"
"""}


def test_podmans_containers_start_after_brokerd_and_stop_before_plugins(host):
    """podman has no daemon that would wait: podman-restart.service finds the plugin's socket or fails. brokerd takes its time."""
    for name, text in PODMAN.items():
        host.write(f"/etc/containers/{name}", text)
    host.write("/etc/systemd/system/brokerd.service.d/slow.conf", "[Service]\nExecStartPre=/bin/sleep 3\n")
    host.succeed("podman", "import", "/root/tiny.tar", IMAGE)
    host.succeed("podman", "volume", "create", "--driver", REMOTE, "files-four")
    host.succeed("podman", "run", "--detach", "--name=four", "--restart=always", "--network=host", "--ulimit=nofile=20000:20000",
                 "--ulimit=nproc=1000:1000", "--volume=files-four:/v", IMAGE, "/bin/sh", "-c", WRITER)
    host.succeed("systemctl", "enable", "podman.socket", "podman-restart.service")
    count = wait_until(lambda: host.count("four"), "number of four", PATIENCE, 0.1)
    host.power_off()
    host.boot()
    assert_brokerd_first(host)
    assert host.stamp(STARTED, "brokerd.service") < host.stamp(STARTING, "podman-restart.service")
    assert_all_well(host)
    wait_until(lambda: host.count("four") > count, lambda: host.run("podman", "ps", "--all").stdout, PATIENCE, 0.1)
    scope = scope_of(inspect(host, PLAIN))
    host.succeed("systemctl", "disable", "podman-restart.service")
    (host.root / "etc/systemd/system/brokerd.service.d/slow.conf").unlink()
    host.power_off()
    assert host.stamp(STOPPED, "podman-restart.service") < host.stamp(STOPPING, scope)
    assert not any("Failed with result" in line for _unit, line in host.said())


def test_power_loss(host):
    """Containers, plugins and brokerd find what they left, and go on. Debian's rclone has no volume mounted then: one that lost its
    power with a volume hangs when it starts again, whoever starts it. docker starts its container anyway."""
    host.docker("stop", "two")
    host.pull_the_plug()
    host.boot()
    assert_brokerd_first(host)
    assert_all_well(host)


def test_docker_stops_first_then_plugins_then_brokerd(host):
    scopes = [scope_of(wait_running(host, name)) for name in MANAGED]
    host.power_off()
    log = host.log()
    for scope in scopes:
        stamps = [host.stamp(message, unit) for message, unit in (
            (STOPPING, "docker.service"), (STOPPED, "docker.service"), (STOPPING, scope), (STOPPED, scope), (STOPPED, "brokerd.service"))]
        assert stamps == sorted(stamps), log
    for bad in ("timed out", "SIGKILL", "remains running", "left-over", "Failed with result", "Failed to unmount"):
        assert bad not in log, log
    mounts, processes = last_look(host)
    assert_none_left(processes)
    assert "/var/lib/brokerd/" not in mounts and "rclone" not in mounts, mounts
