"""Managed plugins where systemd is: brokerd installed in a booted Debian 12. By packaging/test --system only, because the
tree of that system is made from the package mirror once (booted.py)."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "system")]

import booted  # noqa: E402
from call_load import CallLoad  # noqa: E402
from harness.unix_http import ACCEPT, Connection  # noqa: E402
from harness.waiting import wait_until  # noqa: E402
from inside import (BUILD, LAST_LOOK, ORDERLY, PATIENCE, add_plugin, add_unit, assert_none_left, crash, inodes, inspect,  # noqa: E402
                    last_look, main_pid, published, report, restart, scope_of, script, wait_another, wait_running)

pytestmark = pytest.mark.skipif(not os.environ.get("BROKERD_SYSTEM_TESTS"), reason="runs with packaging/test --system")

NAME = "acme/steady"  # runs all the time, and numbers its lines: what is missing can be seen
STEADY = 'i=0; while /bin/busybox sleep 0.1; do i=$((i+1)); echo "tick $i"; echo "tock $i" >&2; done & exec /bin/sample'


@pytest.fixture(scope="module")
def installed():
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as place:
        booted.install(BUILD, place)
        yield pathlib.Path(place)


def cgroups(machine, pid):
    """The control group of a process in each hierarchy: controllers -> path."""
    lines = machine.succeed("cat", f"/proc/{pid}/cgroup").splitlines()
    return {line.split(":")[1]: line.split(":", 2)[2] for line in lines}


def systemd_cgroup(machine, pid):
    """Where systemd keeps it: in cgroup v2 or in a hierarchy of its own; where the machine has one of them only, it is
    at the root of the other one, which is the host's."""
    groups = cgroups(machine, pid)
    return max(groups.get("", "/"), groups.get("name=systemd", "/"), key=len)


def shim_pid(machine, plugin):
    return json.loads((machine.root / f"run/brokerd/bundles/{plugin['Id']}/running").read_text())["ShimPid"]


def lines_of(machine, name, *matches):
    return [entry["MESSAGE"] for entry in machine.journal(f"PLUGIN_NAME={name}:latest", *matches)]


def assert_gapless(lines, word):
    numbers = [int(line.split()[1]) for line in lines if line.startswith(word)]
    assert numbers and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.fixture(scope="module", name="machine")
def booted_machine(installed):
    with booted.Machine(installed, unified=bool(os.environ.get("BROKERD_SYSTEM_UNIFIED"))) as machine:
        add_plugin(machine, NAME, config=script(STEADY))
        machine.succeed("pluginctl", "enable", NAME)
        yield machine


def test_is_ready_as_systemd_understands_it(machine):
    assert machine.show("brokerd.service", "Type") == "notify"
    assert machine.show("brokerd.service", "ActiveState") == "active"
    assert machine.show("brokerd.service", "NRestarts") == "0"
    assert machine.run("systemctl", "--failed", "--no-legend").stdout.strip() == ""


def test_systemd_has_nothing_to_say_about_the_units(machine):
    units = [f"/lib/systemd/system/brokerd.{kind}" for kind in ("service", "socket", "slice")]
    units.append("/lib/systemd/system/brokerd-engines.target")
    result = machine.run("systemd-analyze", "verify", "--man=no", *units)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_a_plugin_runs_in_a_scope_and_its_shim_with_brokerd(machine):
    plugin = wait_running(machine, NAME)
    assert machine.succeed("pluginctl", "call", NAME, "VolumeDriver.List", "{}").strip() == '{"Volumes":[],"Err":""}'
    assert systemd_cgroup(machine, plugin["Pid"]).endswith(f"/brokerd.slice/{scope_of(plugin)}")
    assert systemd_cgroup(machine, shim_pid(machine, plugin)).endswith("/system.slice/brokerd.service")
    assert systemd_cgroup(machine, main_pid(machine)).endswith("/system.slice/brokerd.service")
    assert machine.show(scope_of(plugin), "ActiveState") == "active"
    assert machine.show(scope_of(plugin), "Slice") == "brokerd.slice"
    assert "/bin/sample" in machine.succeed("systemctl", "status", "brokerd.slice")


def test_a_plugin_that_cannot_start_leaves_no_scope(machine):
    add_plugin(machine, "acme/short", "exit=3")
    result = machine.run("pluginctl", "enable", "acme/short")
    assert result.returncode == 1 and "status 3" in result.stderr
    assert scope_of(inspect(machine, "acme/short")) not in machine.succeed("systemctl", "list-units", "--all", "--full", "brokerd-*")
    assert lines_of(machine, "acme/short", "PLUGIN_STREAM=stderr") == ["the sample plugin was told to exit"]
    machine.succeed("pluginctl", "rm", "acme/short")


def test_the_journal_knows_plugin_and_stream(machine):
    plugin = wait_running(machine, NAME)
    wait_until(lambda: "tock 1" in lines_of(machine, NAME), "line of the plugin", PATIENCE, 0.1)
    for stream, text in (("stdout", "tick 1"), ("stderr", "tock 1")):
        entries = machine.journal(f"PLUGIN_NAME={NAME}:latest", f"PLUGIN_ID={plugin['Id']}", f"PLUGIN_STREAM={stream}")
        entry = next(entry for entry in entries if entry["MESSAGE"] == text)
        assert entry["SYSLOG_IDENTIFIER"] == f"{NAME}:latest"
        assert entry["PRIORITY"] == "6"
        assert entry["_SYSTEMD_UNIT"] == "brokerd.service"


def test_logs_come_from_the_journal(machine):
    wait_until(lambda: {"tick 1", "tock 1"} <= set(lines_of(machine, NAME)), "lines of the plugin", PATIENCE, 0.1)
    both = machine.run("pluginctl", "logs", NAME)
    assert {"the sample plugin starts", "tick 1"} <= set(both.stdout.splitlines())
    assert "tock 1" in both.stderr.splitlines() and "tock" not in both.stdout
    few = machine.run("pluginctl", "logs", "--tail", "3", NAME)
    assert len((few.stdout + few.stderr).splitlines()) == 3
    entry = machine.journal(f"PLUGIN_NAME={NAME}:latest", "PLUGIN_STREAM=stdout")[-1]
    since = f"{int(entry['__REALTIME_TIMESTAMP']) / 1e6:.6f}"
    recent = machine.succeed("pluginctl", "logs", "--since", since, NAME).splitlines()
    assert entry["MESSAGE"] in recent and "the sample plugin starts" not in recent
    assert machine.succeed("pluginctl", "logs", "--since", "2100-01-01T00:00:00Z", NAME) == ""


def follow(machine, *arguments):
    return subprocess.Popen(machine.command("pluginctl", "logs", "-f", *arguments, NAME), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_logs_are_followed(machine):
    with follow(machine, "--tail", "1") as follower:
        lines = [follower.stdout.readline().rstrip("\n") for _ in range(9)]
        follower.terminate()
    assert_gapless(lines, "tick")
    assert_gapless(lines, "tock")


def test_logs_go_on_when_journald_is_restarted(machine):
    machine.succeed("systemctl", "restart", "systemd-journald.service")
    seen = len(lines_of(machine, NAME))
    wait_until(lambda: len(lines_of(machine, NAME)) > seen + 3, "line after the restart", PATIENCE, 0.1)
    for word in ("tick", "tock"):
        assert_gapless(lines_of(machine, NAME), word)


@pytest.mark.parametrize("end", [restart, crash])
def test_a_plugin_outlives_brokerd(machine, end):
    before = wait_running(machine, NAME)
    kept, old = inodes(machine, before), main_pid(machine)
    end(machine)
    assert main_pid(machine) != old
    after = wait_running(machine, NAME)
    assert {key: after[key] for key in ("Pid", "Restarts", "Published")} == {key: before[key] for key in ("Pid", "Restarts", "Published")}
    assert inodes(machine, after) == kept
    assert machine.succeed("pluginctl", "call", NAME, "VolumeDriver.List", "{}")
    seen = len(lines_of(machine, NAME))
    wait_until(lambda: len(lines_of(machine, NAME)) > seen + 3, "line after the restart", PATIENCE, 0.1)
    for word in ("tick", "tock"):
        assert_gapless(lines_of(machine, NAME), word)


@pytest.mark.parametrize("verb", [("restart", "--no-block"), ("kill", "--kill-whom=main", "--signal=KILL")])
def test_a_call_while_brokerd_is_away_is_answered_by_the_next_one(machine, verb):
    """The next one is held back until the call has been sent."""
    plugin = wait_running(machine, NAME)
    old = main_pid(machine)
    drop_in = "/run/systemd/system/brokerd.service.d/gate.conf"
    machine.write("/run/gate", "")
    machine.write(drop_in, "[Service]\nExecStartPre=/bin/sh -c 'while [ -e /run/gate ]; do sleep 0.05; done'\n")
    machine.succeed("systemctl", "daemon-reload")
    machine.succeed("systemctl", *verb, "brokerd.service")
    wait_until(lambda: machine.show("brokerd.service", "SubState") == "start-pre", "brokerd between two lives", PATIENCE, 0.05)
    connections = [Connection(path, PATIENCE) for path in published(machine, plugin)]
    for connection in connections:
        connection.request("POST", "/VolumeDriver.List", b"{}", {"Accept": ACCEPT})
    (machine.root / "run/gate").unlink()
    for connection in connections:
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())) == (200, {"Volumes": [], "Err": ""})
        connection.close()
    wait_another(machine, old)
    (machine.root / drop_in.lstrip("/")).unlink()
    machine.succeed("systemctl", "daemon-reload")
    assert wait_running(machine, NAME)["Pid"] == plugin["Pid"]


def test_another_build_takes_over_under_load(machine, record_property):
    plugin = wait_running(machine, NAME)
    program = machine.root / "usr/sbin/brokerd"
    with CallLoad(published(machine, plugin)[0]) as load:
        load.wait_for_more(50)
        fresh = program.with_name("brokerd.new")  # as a package manager does it
        fresh.write_bytes(program.read_bytes() + b"another build")
        fresh.chmod(0o755)
        size = fresh.stat().st_size
        fresh.rename(program)
        restart(machine)
        load.wait_for_more(50)
    report(load, record_property)
    assert load.lost == []
    assert int(machine.succeed("stat", "--dereference", "--format=%s", f"/proc/{main_pid(machine)}/exe")) == size
    assert wait_running(machine, NAME)["Pid"] == plugin["Pid"]


def test_limits_are_the_scopes(machine):
    v2 = machine.root / "sys/fs/cgroup/cgroup.controllers"
    if v2.exists() and "memory" not in v2.read_text():
        pytest.skip("this host has its controllers in cgroup v1, and left none for a machine with v2")
    add_plugin(machine, "acme/small")
    machine.succeed("pluginctl", "set", "--memory", "64m", "--pids", "50", "--cpus", "0.5", "acme/small")
    machine.succeed("pluginctl", "enable", "acme/small")
    plugin = inspect(machine, "acme/small")
    scope = scope_of(plugin)
    assert str(64 << 20) in (machine.show(scope, "MemoryMax"), machine.show(scope, "MemoryLimit"))
    assert machine.show(scope, "TasksMax") == "50"
    assert machine.show(scope, "CPUQuotaPerSecUSec") == "500ms"
    groups = cgroups(machine, plugin["Pid"])
    if "memory" in groups:  # cgroup v1: what the kernel has been told
        below = f"brokerd.slice/{scope}"
        assert groups["memory"].endswith(below) and groups["pids"].endswith(below)
        assert machine.succeed("cat", f"/sys/fs/cgroup/memory/{below}/memory.limit_in_bytes").strip() == str(64 << 20)
        assert machine.succeed("cat", f"/sys/fs/cgroup/pids/{below}/pids.max").strip() == "50"
    machine.succeed("pluginctl", "rm", "-f", "acme/small")
    assert machine.show(scope, "LoadState") == "not-found"
    assert machine.succeed("find", "/sys/fs/cgroup/", "-name", f"*{plugin['Id']}*") == ""


def test_plugins_run_on_while_brokerd_is_stopped(machine):
    plugin = wait_running(machine, NAME)
    machine.succeed("systemctl", "stop", "brokerd.service")
    assert machine.show("brokerd.service", "Result") == "success"
    assert systemd_cgroup(machine, plugin["Pid"]).endswith(scope_of(plugin))
    machine.succeed("systemctl", "start", "brokerd.service")
    assert wait_running(machine, NAME)["Pid"] == plugin["Pid"]
    for word in ("tick", "tock"):
        assert_gapless(lines_of(machine, NAME), word)


def test_plugins_stop_with_brokerd_without_live_restore(machine):
    drop_in = machine.root / "run/systemd/system/brokerd.service.d/stop.conf"
    machine.write("/run/systemd/system/brokerd.service.d/stop.conf",
                  "[Service]\nExecStart=\nExecStart=/usr/sbin/brokerd --live-restore=false\n")
    machine.succeed("systemctl", "daemon-reload")
    restart(machine)
    plugin = wait_running(machine, NAME)
    machine.succeed("systemctl", "stop", "brokerd.service")
    assert not (machine.root / f"proc/{plugin['Pid']}").exists()
    assert machine.show(scope_of(plugin), "ActiveState") == "inactive"
    assert machine.show("brokerd.service", "Result") == "success"
    assert machine.run("pgrep", "-f", "brokerd-shim").stdout == ""
    drop_in.unlink()
    machine.succeed("systemctl", "daemon-reload")
    machine.succeed("systemctl", "start", "brokerd.service")
    assert wait_running(machine, NAME)["Pid"] != plugin["Pid"]


ENGINE = """[Unit]
Description=stands in for an engine, which calls its plugins to the last
[Service]
ExecStart=/bin/sleep infinity
ExecStop=/usr/bin/pluginctl call acme/orderly VolumeDriver.Get {\\"Name\\":\\"v\\"}
[Install]
WantedBy=multi-user.target
"""


@pytest.mark.parametrize("unified", [False, True], ids=["hybrid", "unified"])
def test_a_host_that_powers_off_stops_engines_then_plugins_then_brokerd(installed, unified):
    with booted.Machine(installed, unified) as machine:
        for name, text in (("docker.service", ENGINE), ("last-look.service", LAST_LOOK)):
            add_unit(machine, name, text)
        mounting = {"propagatedMount": "/data", "linux": {"capabilities": ["CAP_SYS_ADMIN"]}}
        add_plugin(machine, "acme/orderly", "tmpfs", {**script(ORDERLY), **mounting})
        add_plugin(machine, "acme/plain")
        for name in ("acme/orderly", "acme/plain"):
            machine.succeed("pluginctl", "enable", name)
        machine.succeed("pluginctl", "call", "acme/orderly", "VolumeDriver.Create", '{"Name":"v"}')
        machine.succeed("pluginctl", "call", "acme/orderly", "VolumeDriver.Mount", '{"Name":"v"}')
        plugin = inspect(machine, "acme/orderly")
        assert systemd_cgroup(machine, plugin["Pid"]).endswith(f"/brokerd.slice/{scope_of(plugin)}")
        place = f"/var/lib/brokerd/plugins/{plugin['Id']}/propagated-mount"
        assert f" {place}/v " in machine.succeed("cat", "/proc/self/mountinfo")
        restart(machine)
        assert wait_running(machine, "acme/orderly")["Pid"] == plugin["Pid"]
        machine.power_off()
        said = [str(entry["MESSAGE"]) for entry in machine.journal()]
        said = said[said.index("The system will power off now!"):]
        mounts, processes = last_look(machine)
    log = "\n".join(said)
    order = [next((number for number, line in enumerate(said) if text in line), -1)
             for text in (f'"Mountpoint":"{place}/v"', "is asked to end", "ended in order", "brokerd stops")]
    assert -1 not in order and order == sorted(order), log
    for bad in ("timed out", "SIGKILL", "remains running", "left-over", "Failed with result", "is disabled"):
        assert bad not in log, log
    assert_none_left(processes)
    assert plugin["Id"] not in mounts and "/var/lib/brokerd/" not in mounts


def test_a_host_that_powers_off_while_brokerd_is_stopped_ends_plugins_in_order(installed):
    with booted.Machine(installed) as machine:
        add_unit(machine, "last-look.service", LAST_LOOK)
        add_plugin(machine, "acme/orderly", config=script(ORDERLY))
        machine.succeed("pluginctl", "enable", "acme/orderly")
        machine.succeed("systemctl", "stop", "brokerd.service")
        machine.power_off()
        assert lines_of(machine, "acme/orderly")[-2:] == ["is asked to end", "ended in order"]
        _mounts, processes = last_look(machine)
        log = "\n".join(str(entry["MESSAGE"]) for entry in machine.journal())
    assert_none_left(processes)
    assert "timed out" not in log and "SIGKILL" not in log, log


BOOTING_ENGINE = """[Unit]
Description=stands in for an engine, which looks for its plugins when it starts
[Service]
ExecStart=/bin/sh -c 'ls /run/docker/plugins/acme >/var/log/journal/seen; exec sleep infinity'
[Install]
WantedBy=multi-user.target
"""


def test_plugins_come_back_with_the_host_and_delay_nothing(installed, tmp_path):
    place = tmp_path / "installed"
    shutil.copytree(installed, place, symlinks=True)
    (place / "etc/systemd/system/docker.service").write_text(BOOTING_ENGINE)
    booted.enable(place, "docker.service")
    with booted.Machine(place) as machine:
        add_plugin(machine, "acme/slow", "slow=3000")
        add_plugin(machine, "acme/off")
        machine.succeed("pluginctl", "enable", "acme/slow")
        first = inspect(machine, "acme/slow")
        machine.power_off()
        machine.boot()
        with_call = Connection(machine.root / "run/docker/plugins/acme/slow.sock", PATIENCE)
        with_call.request("POST", "/VolumeDriver.List", b"{}", {"Accept": ACCEPT})
        answer = with_call.getresponse()
        assert (answer.status, json.loads(answer.read())) == (200, {"Volumes": [], "Err": ""})
        with_call.close()
        again = wait_running(machine, "acme/slow")
        assert (again["Id"], again["Restarts"]) == (first["Id"], 0)
        assert inspect(machine, "acme/off")["State"] == "disabled"
        said = [str(entry["MESSAGE"]) for entry in machine.journal("--boot")]
        seen = (machine.journal_directory / "seen").read_text().split()
    log = "\n".join(said)
    assert seen == ["slow.sock", "slow:latest.sock"], "the engine found the plugin's sockets"
    order = [next((number for number, line in enumerate(said) if text in line), -1)
             for text in ("Started brokerd.service", "Started docker.service", "plugin acme/slow:latest is running")]
    assert -1 not in order and order == sorted(order), log
    for bad in ("is disabled", "has failed", "is restarting"):
        assert bad not in log, log
