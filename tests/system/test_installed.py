"""brokerd's package on a running host with docker.io: who is served, and restarts, crashes and upgrades while engines call and
containers write to their volumes. By packaging/test --system only."""

import contextlib
import os
import re
import signal

import booted
import pytest
from call_load import CallLoad
from docker_host import CONTAINERS, MANAGED, PLAIN, REMOTE, installed_host
from harness.waiting import wait_until
from inside import (PATIENCE, ROOT, assert_lost_only, end_of, host_pid, inodes, inspect, main_pid, published, report,
                    restart, short_watchdog, wait_another, wait_running)

pytestmark = pytest.mark.skipif(not os.environ.get("BROKERD_SYSTEM_TESTS"), reason="runs with packaging/test --system")

RESTARTS = 5
# From common/message_id.h: the configuration was refused, and was read again.
REFUSED, RELOADED = "616424ae3ba540f0b6859a9637524fe1", "f48a777cd74943399a833c5b5c2d153b"


@pytest.fixture(scope="module")
def host(packages):
    with installed_host(packages[0]) as machine:
        yield machine


def what_stays(host):
    """The containers' processes, the plugins', and the published sockets."""
    plugins = [wait_running(host, name)["Pid"] for name in MANAGED]
    return host.wait_written(), plugins, [inodes(host, inspect(host, name)) for name in CONTAINERS.values()]


@contextlib.contextmanager
def under_load(host, record_property):
    """All plugins are called meanwhile, and containers write; afterwards they are the same processes. Gives the loads."""
    plugins = CONTAINERS.values()
    before = what_stays(host)
    with contextlib.ExitStack() as stack:
        loads = [stack.enter_context(CallLoad(published(host, inspect(host, name))[0], rate=100)) for name in plugins]
        for load in loads:
            load.wait_for_more(50)
        yield loads
        for load in loads:
            load.wait_for_more(50)
    for load in loads:
        report(load, record_property)
    assert what_stays(host) == before
    assert [inspect(host, name)["Restarts"] for name in MANAGED] == [0, 0]


def assert_none_lost(loads):
    assert [load.lost for load in loads] == [[] for _load in loads]


def test_restarts_lose_no_call(host, record_property):
    with under_load(host, record_property) as loads:
        for _ in range(RESTARTS):
            restart(host)
            for load in loads:
                load.wait_for_more(25)
    assert_none_lost(loads)


def test_after_a_crash_all_goes_on(host, record_property):
    ends = []
    with under_load(host, record_property) as loads:
        old = main_pid(host)
        ends.append(end_of(host_pid(host, old), signal.SIGKILL))
        wait_another(host, old)
    assert_lost_only(loads, ends)


def test_a_stuck_brokerd_is_replaced(host, record_property):
    short_watchdog(host, 2)
    restart(host)
    ends = []
    with under_load(host, record_property) as loads:
        old = main_pid(host)
        ends.append(end_of(host_pid(host, old), signal.SIGSTOP))
        wait_another(host, old)
    short_watchdog(host, None)
    restart(host)
    assert_lost_only(loads, ends)


def test_upgrades_lose_no_call(host, packages, record_property):
    """To a later version, and back."""
    old, new = packages
    with under_load(host, record_property) as loads:
        for package in (new, old):
            before = main_pid(host)
            host.install(package)
            assert main_pid(host) != before, "the new program runs"
            version = host.succeed("dpkg-query", "--show", "--showformat=${Version}", "brokerd")
            assert version.endswith("+later") == (package == new)
            for load in loads:
                load.wait_for_more(25)
    assert_none_lost(loads)


def test_docker_and_brokerd_restarted_together(host):
    """One command for both: docker stops first, which needs its plugins, and starts last."""
    before = host.wait_written()
    host.succeed("systemctl", "reset-failed", "docker.service")
    host.succeed("systemctl", "restart", "docker.service", "brokerd.service")
    after = host.wait_written()
    for name, (running, pid, _restarts) in after.items():
        assert running and pid != before[name][1]
    lines = [line for unit, line in host.said() if unit in ("docker.service", "brokerd.service")]
    assert not any("Force shutdown" in line or "failed to start container" in line for line in lines)


def test_users_are_served_by_their_group(host):
    """Membership alone decides, with docker's client as with ours; who is refused is told what to do."""
    for user, groups in (("insider", ["--groups", "brokerd"]), ("outsider", [])):
        host.succeed("useradd", *groups, user)
    for client in (["pluginctl"], ["docker", "--host=unix:///run/brokerd/control.sock", "plugin"]):
        assert PLAIN in host.succeed(*as_user("insider"), *client, "ls")
        refused = host.run(*as_user("outsider"), *client, "ls")
        assert refused.returncode != 0 and refused.stdout == "" and "permission denied" in refused.stderr.lower()
        assert client[0] == "docker" or "usermod -aG brokerd" in refused.stderr, refused.stderr
    for socket in published(host, inspect(host, REMOTE)):
        assert socket.stat().st_mode & 0o007 == 0, "engines run as root; nobody else may call a plugin"


def as_user(name):
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups"]


def test_the_journal_has_fields_to_look_for_and_explains_itself(host):
    catalog = (ROOT / "systemd/brokerd.catalog").read_text()
    subjects = dict(re.findall(r"(?m)^-- ([0-9a-f]{32})\nSubject: (.*)$", catalog))
    known = host.succeed("journalctl", "--list-catalog", *subjects)
    for subject in subjects.values():
        assert subject in known
    for name in MANAGED:
        entry = event(host, name + ":latest", "running")
        assert entry["PLUGIN_ID"] == inspect(host, name)["Id"]
    entry = event(host, REMOTE, "active")
    subject = subjects[entry["MESSAGE_ID"]].replace("@PLUGIN_NAME@", REMOTE)
    assert subject in host.succeed("journalctl", "--catalog", f"MESSAGE_ID={entry['MESSAGE_ID']}")


def test_a_reload_with_a_mistake_changes_nothing(host, record_property):
    """The file that the package brought, with a line more: the reload fails, and the unit's journal says which line is wrong."""
    file = host.root / "etc/brokerd/brokerd.conf"
    text, pid = file.read_text(), main_pid(host)
    with under_load(host, record_property) as loads:
        for more, status, message, said in (("no-such-setting = 1\n", 1, REFUSED, f"brokerd.conf:{len(text.splitlines()) + 1}"),
                                            ("live-restore = 7\n", 1, REFUSED, "live-restore"), ("", 0, RELOADED, "reloaded")):
            of_message = ("--unit=brokerd.service", f"MESSAGE_ID={message}")
            before = len(host.journal(*of_message))
            file.write_text(text + more)
            done = host.run("systemctl", "reload", "brokerd.service")
            assert done.returncode == status, done
            entry, = wait_until(lambda of=of_message, before=before: host.journal(*of)[before:], host.log, PATIENCE, 0.1)
            assert said in entry["MESSAGE"] and host.show("brokerd.service", "ActiveState") == "active"
    assert_none_lost(loads)
    assert main_pid(host) == pid


def test_a_reload_looks_at_the_settings_of_the_brokerd_that_runs(host):
    """A drop-in may have given it another file."""
    drop_in = "/run/systemd/system/brokerd.service.d/other-file.conf"
    host.write("/run/other.conf", "log-level = info\n")
    host.write(drop_in, "[Service]\nExecStart=\nExecStart=/usr/sbin/brokerd --config /run/other.conf\n")
    try:
        host.succeed("systemctl", "daemon-reload")
        restart(host)
        host.succeed("systemctl", "reload", "brokerd.service")
        host.write("/run/other.conf", "no-such-setting = 1\n")
        assert host.run("systemctl", "reload", "brokerd.service").returncode != 0
    finally:
        (host.root / drop_in.lstrip("/")).unlink()
        host.succeed("systemctl", "daemon-reload")
        restart(host)


def event(host, plugin, what):
    entries = host.journal("_SYSTEMD_UNIT=brokerd.service", f"PLUGIN_NAME={plugin}", f"EVENT={what}")
    assert entries, f"no {what} of {plugin}:\n{host.log()}"
    return entries[0]


def test_systemd_has_nothing_to_say_about_the_host(host):
    units = host.succeed("sh", "-c", "ls /lib/systemd/system/brokerd*").split()
    verified = host.run("systemd-analyze", "verify", "--man=no", *units)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    for engine in ("docker.service", "podman.service", "podman-restart.service"):
        assert "brokerd.service" in host.show(engine, "After").split()


def test_no_order_goes_in_a_circle(host):
    """With all that Debian enables where podman is installed. systemd would leave out whatever closes the circle, brokerd now and
    then, and goes on."""
    host.succeed("systemctl", "enable", *booted.ENGINES)
    seen = host.run("systemd-analyze", "verify", "--man=no", "default.target")
    assert "cycle" not in seen.stderr, seen.stderr
    host.succeed("systemctl", "disable", *(unit for unit in booted.ENGINES if unit.startswith("podman")))


def traces(host):
    """What tells that brokerd or a plugin is there: units, processes, mounts, sockets."""
    units = host.succeed("systemctl", "list-units", "--full", "--plain", "--no-legend", "brokerd*").split("\n")
    processes = [line for line in host.succeed("ps", "-e", "-o", "args").split("\n") if "brokerd" in line or "/bin/sample" in line]
    mounts = [line for line in host.succeed("cat", "/proc/self/mountinfo").split("\n") if "/var/lib/brokerd/" in line]
    sockets = host.run("find", "/run/docker/plugins", "/run/brokerd", "-type", "s").stdout.split("\n")
    return [trace for trace in (*units, *processes, *mounts, *sockets) if trace]


def test_removal_ends_all_and_purge_keeps_nothing(host, packages):
    """Docker runs on. What is installed again after a removal goes on with the same plugins; after a purge it has none."""
    docker = main_pid(host, "docker.service")
    ids = [wait_running(host, name)["Id"] for name in MANAGED]
    host.docker("rm", "--force", *CONTAINERS)
    host.succeed("dpkg", "--remove", "brokerd")
    assert traces(host) == []
    assert (host.root / "etc/brokerd/brokerd.conf").exists()
    host.install(packages[0])
    assert [wait_running(host, name)["Id"] for name in MANAGED] == ids
    host.succeed("dpkg", "--purge", "brokerd")
    assert traces(host) == []
    for path in ("etc/brokerd", "run/brokerd", "etc/systemd/system/multi-user.target.wants/brokerd.service"):
        assert not os.path.lexists(host.root / path), path
    assert list((host.root / "var/lib/brokerd").iterdir()) == []
    assert host.succeed("getent", "group", "brokerd"), "files may still belong to it"
    assert main_pid(host, "docker.service") == docker
    assert host.run("systemctl", "--failed", "--no-legend").stdout.strip() == ""
