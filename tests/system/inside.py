"""brokerd inside a booted machine: what it and systemd say of it and of its plugins, and ways to end it."""

import json
import os
import pathlib
import select
import signal
import time

from harness.plugin_images import make_plugin
from harness.waiting import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BROKERD_BUILD", ROOT / "build" / "release")).resolve()
SAMPLE = BUILD / "tests" / "fixtures" / "sample_plugin" / "sample-plugin"
PATIENCE = 60

# A script for plugins: the sample plugin, and a word when it is asked to end and when it has ended.
ORDERLY = """trap 'echo is asked to end; kill $P 2>/dev/null; wait $P; echo ended in order; exit 0' TERM
/bin/sample & P=$!
while :; do wait $P; done"""
# A unit that is stopped after brokerd and all plugins, because it counts as started before, and notes what is left. A shim
# may take a moment to note the end.
LAST_LOOK = """[Unit]
DefaultDependencies=no
Before=brokerd.service brokerd.slice shutdown.target
Conflicts=shutdown.target
RequiresMountsFor=/var/log/journal
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=-/usr/bin/timeout 20 /bin/sh -c 'while pgrep -x brokerd-shim; do sleep 0.1; done'
ExecStop=/bin/sh -c 'ps -e -o args >/var/log/journal/processes; cp /proc/self/mountinfo /var/log/journal/mounts'
[Install]
WantedBy=multi-user.target
"""


def add_unit(machine, name, text):
    """A unit that is started now and at each boot."""
    machine.write(f"/etc/systemd/system/{name}", text)
    machine.succeed("systemctl", "enable", "--now", name)


def last_look(machine):
    """What LAST_LOOK has seen: the mounts, and the command lines of the processes. For a machine that was powered off."""
    mounts, processes = ((machine.journal_directory / name).read_text() for name in ("mounts", "processes"))
    return mounts, processes


def assert_none_left(processes):
    for program in ("sbin/brokerd", "brokerd-shim", "runc", "/bin/sample", "/bin/busybox"):
        assert program not in processes, processes


def add_plugin(machine, name, behaviour="", config=None):
    """Installs the sample plugin, disabled."""
    environment = [{"name": key, "description": "", "settable": ["value"], "value": value}
                   for key, value in (("BEHAVIOUR", behaviour), ("VOLUMES", "/data"))]
    image = machine.root / "root" / name.replace("/", "-")
    make_plugin(image, {"env": environment, **(config or {})},
                {"bin/sample": SAMPLE.read_bytes(), "bin/busybox": pathlib.Path("/bin/busybox").read_bytes()})
    (image / "rootfs/bin/busybox").chmod(0o755)
    machine.succeed("pluginctl", "create", name, f"/root/{image.name}")


def script(text):
    """The config of a plugin that is a shell script."""
    return {"entrypoint": ["/bin/busybox", "sh", "-c", text]}


def inspect(machine, name):
    """What brokerd knows of a plugin, of either kind."""
    document = json.loads(machine.succeed("pluginctl", "inspect", name))[0]
    return document.get("Broker", document)


def wait_running(machine, name):
    def running():
        plugin = inspect(machine, name)
        return plugin if plugin["State"] == "running" else None
    return wait_until(running, lambda: f"running {name}: {inspect(machine, name)}", PATIENCE, 0.1)


def scope_of(plugin):
    return f"brokerd-{plugin['Id']}.scope"


def published(machine, plugin):
    return [machine.root / path.lstrip("/") for path in plugin["Published"]]


def inodes(machine, plugin):
    return [path.stat().st_ino for path in published(machine, plugin)]


def main_pid(machine, unit="brokerd.service"):
    return int(machine.show(unit, "MainPID"))


def wait_another(machine, old):
    """Until brokerd is up again, and another process than `old`."""
    wait_until(lambda: main_pid(machine) not in (0, old) and machine.show("brokerd.service", "ActiveState") == "active",
               lambda: machine.run("systemctl", "status", "brokerd").stdout, PATIENCE, 0.05)


def restart(machine):
    machine.succeed("systemctl", "restart", "brokerd.service")


def crash(machine):
    """kill -9 of brokerd, which systemd starts again."""
    old = main_pid(machine)
    machine.succeed("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "brokerd.service")
    wait_another(machine, old)


def kill(pid):
    """kill -9 of a process, by its number here. Returns a time at which it lived, and one at which it and its connections
    were gone."""
    return end_of(pid, signal.SIGKILL)


def end_of(pid, number):
    """Sends a signal and waits for the end. Returns a time before both, and one after."""
    process = os.pidfd_open(pid)
    try:
        alive = time.monotonic()
        signal.pidfd_send_signal(process, number)
        assert select.select([process], [], [], PATIENCE)[0], f"process {pid} has not ended"
        return alive, time.monotonic()
    finally:
        os.close(process)


def host_pid(machine, pid):
    """The number that a process of the machine has here."""
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            words = next(line.split() for line in status.read_text().splitlines() if line.startswith("NSpid:"))
            if words[-1] == str(pid) and os.readlink(status.parent / "ns/pid") == os.readlink(f"/proc/{machine.leader}/ns/pid"):
                return int(words[1])
        except (OSError, StopIteration):
            pass  # it has ended
    raise AssertionError(f"no process {pid}")


def short_watchdog(machine, seconds):
    """systemd's patience with brokerd from its next start on, or the unit's own again (None)."""
    drop_in = "/run/systemd/system/brokerd.service.d/watchdog.conf"
    if seconds is None:
        (machine.root / drop_in.lstrip("/")).unlink()
    else:
        machine.write(drop_in, f"[Service]\nWatchdogSec={seconds}s\n")
    machine.succeed("systemctl", "daemon-reload")


def assert_lost_only(loads, ends):
    """Every call that was lost was under way when brokerd was ended. `ends`: pairs of times, as end_of() returns them."""
    for load in loads:
        for begin, end, problem in load.lost:
            assert any(begin <= dead and alive <= end for alive, dead in ends), (problem, begin, end, ends)


def report(load, record_property):
    longest = max(end - begin for begin, end, _problem in load.calls)
    for name, value in (("calls", len(load.calls)), ("lost", len(load.lost)), ("longest_seconds", round(longest, 3))):
        record_property(name, value)
        print(f"{name}: {value}")
