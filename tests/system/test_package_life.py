"""The package as Debian's tools see it: lintian, and a life from installation to purge, first where no systemd runs (a chroot),
then on a booted host with plugins that run. By packaging/test --system only. What an upgrade does to calls is in
test_installed.py."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import booted
import pytest
from harness.waiting import wait_until
from inside import ORDERLY, add_plugin, assert_none_left, main_pid, script, wait_running

pytestmark = pytest.mark.skipif(not os.environ.get("BROKERD_SYSTEM_TESTS"), reason="runs with packaging/test --system")

NAME = "acme/orderly"
WANTS = ("multi-user.target.wants/brokerd.service", "docker.service.wants/brokerd.service", "sockets.target.wants/brokerd.socket")
# What dpkg, systemd and the group leave behind; the rest of /etc, /usr and /var is as before.
TRACES = ("var/lib/dpkg", "var/log", "var/cache", "etc/group", "etc/gshadow", "etc/.pwd.lock", "etc/passwd", "etc/shadow", "etc/ld.so.cache",
          "var/lib/systemd/deb-systemd-helper-enabled", "var/lib/systemd/deb-systemd-helper-masked")


def test_lintian_finds_nothing(packages):
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", packages[0]],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


class Chroot:
    """The tree of the booted machines, without anything that runs. What is written lies in `place`."""

    SCRIPT = """
        set -e
        mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
        mount -t proc proc "$2/root/proc"
        place=$2
        shift 2
        exec chroot "$place/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
    """

    def __init__(self, place):
        self.place = pathlib.Path(place)
        for name in ("upper", "work", "root"):
            (self.place / name).mkdir()

    def run(self, *command):
        """In a mount namespace of its own, which ends with the command."""
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", self.SCRIPT, "sh", booted.tree(), self.place,
                               *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)

    def succeed(self, *command):
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path, text):
        self.succeed("sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', "sh", path, text)

    def has(self, *paths):
        return [path for path in paths if self.run("test", "-e", path).returncode == 0]

    def install(self, package):
        shutil.copy(package, self.place / "upper")
        self.succeed("dpkg", "--install", f"/{package.name}")
        assert self.succeed("dpkg", "--audit") == ""

    def files(self):
        return set(self.succeed("find", "/etc", "/usr", "/var", "-xdev").splitlines())


@pytest.fixture(scope="module", name="chroot")
def chroot_in_memory():
    with tempfile.TemporaryDirectory(prefix="b.", dir="/dev/shm") as place:
        yield Chroot(place)


def test_a_life_without_systemd(chroot, packages):
    old, new = packages
    before = chroot.files()
    chroot.install(old)
    assert chroot.succeed("dpkg", "--verify", "brokerd") == ""
    assert "brokerd:" in chroot.succeed("cat", "/etc/group")
    units = [f"/etc/systemd/system/{name}" for name in WANTS]
    for unit in units:
        assert chroot.run("test", "-L", unit).returncode == 0, unit
    chroot.succeed("brokerd", "--version")
    chroot.succeed("pluginctl", "--version")
    assert chroot.succeed("dpkg-query", "--show", "--showformat=${Conffiles}", "brokerd").split()[0] == "/etc/brokerd/brokerd.conf"

    # What the operator has changed stays, through an upgrade and a removal.
    chroot.write("/etc/brokerd/brokerd.conf", "log-level = warning\n")
    chroot.succeed("systemctl", "disable", "brokerd.service")
    chroot.install(new)
    assert chroot.succeed("cat", "/etc/brokerd/brokerd.conf") == "log-level = warning\n"
    assert chroot.has(units[0]) == []

    chroot.write("/var/lib/brokerd/plugins/plugins.json", "{}")
    chroot.succeed("dpkg", "--remove", "brokerd")
    kept = ["/etc/brokerd/brokerd.conf", "/var/lib/brokerd/plugins/plugins.json"]
    assert chroot.has(*kept, "/usr/sbin/brokerd", "/usr/share/doc/brokerd", "/lib/systemd/system/brokerd.service") == kept

    chroot.install(old)
    assert chroot.succeed("cat", kept[0]) == "log-level = warning\n"
    chroot.succeed("dpkg", "--remove", "brokerd")
    chroot.succeed("dpkg", "--purge", "brokerd")
    assert chroot.has("/var/lib/brokerd", "/etc/brokerd", "/etc/docker/plugins") == []
    assert "brokerd:" in chroot.succeed("cat", "/etc/group"), "files may still belong to the group"
    left = {path for path in chroot.files() - before if not path.lstrip("/").startswith(TRACES)}
    assert left == set()
    assert before - chroot.files() == set()


def test_a_purge_never_deletes_through_a_mount(chroot, packages):
    """A plugin's mount of another directory of the same file system looks like any directory."""
    chroot.install(packages[0])
    chroot.write("/srv/precious", "photos")
    chroot.write("/var/lib/brokerd/plugins/x/propagated-mount/v/own", "")
    chroot.succeed("dpkg", "--remove", "brokerd")
    mounted = "/var/lib/brokerd/plugins/x/propagated-mount/v"
    done = chroot.run("sh", "-c", f"mount --bind /srv {mounted} && dpkg --purge brokerd")
    assert done.returncode != 0 and "something is mounted in it" in done.stderr, done
    assert chroot.has("/srv/precious", f"{mounted}/own") == ["/srv/precious", f"{mounted}/own"]
    chroot.succeed("dpkg", "--purge", "brokerd")
    assert chroot.has("/srv/precious", "/var/lib/brokerd") == ["/srv/precious"]


@pytest.fixture(name="host")
def host_with_brokerd(packages):
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as nothing, booted.Machine(nothing) as machine:
        install(machine, packages[0])
        yield machine


def install(machine, package):
    shutil.copy(package, machine.root / "root")
    machine.succeed("dpkg", "--install", f"/root/{package.name}")


def test_an_upgrade_that_refuses_the_settings_leaves_the_old_brokerd_running(host, packages):
    pid = main_pid(host)
    usual = (host.root / "etc/brokerd/brokerd.conf").read_text()
    host.write("/etc/brokerd/brokerd.conf", usual + "no-such-key = 1\n")
    shutil.copy(packages[1], host.root / "root")
    done = host.run("dpkg", "--install", f"/root/{packages[1].name}")
    assert done.returncode != 0 and "no-such-key" in done.stderr and "dpkg --configure brokerd" in done.stderr, done
    assert main_pid(host) == pid

    # Who restarts it all the same is told once, and nobody waits in a socket for a brokerd that does not come.
    assert host.run("systemctl", "restart", "brokerd.service").returncode != 0
    assert [host.show("brokerd.service", name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")] == ["failed", "78", "0"]
    assert len([entry for entry in host.journal("--unit=brokerd.service") if "no-such-key" in str(entry["MESSAGE"])]) == 1

    host.write("/etc/brokerd/brokerd.conf", usual)
    host.succeed("dpkg", "--configure", "brokerd")
    wait_until(lambda: host.show("brokerd.service", "ActiveState") == "active", "brokerd that runs again", 30, 0.05)


def test_each_refused_start_says_why_in_the_units_journal(host):
    """The last words of a process that ends at once are its unit's all the same."""
    usual = (host.root / "etc/brokerd/brokerd.conf").read_text()
    for number in range(10):
        host.write("/etc/brokerd/brokerd.conf", usual + f"no-such-key-{number} = 1\n")
        assert host.run("systemctl", "restart", "brokerd.service").returncode != 0
    said = [str(entry["MESSAGE"]) for entry in host.journal("--unit=brokerd.service")]
    assert [sum(f"no-such-key-{number}" in line for line in said) for number in range(10)] == [1] * 10, said


# Waits, as dockerd may for a plugin.
STOPPING_ENGINE = """[Unit]
Description=stands in for an engine that takes its time to stop
[Service]
ExecStart=/bin/sleep infinity
ExecStop=/bin/sh -c 'until [ -e /run/go ]; do sleep 0.1; done'
"""


def test_a_plugin_is_started_again_while_an_engine_stops(host):
    host.write("/etc/systemd/system/docker.service", STOPPING_ENGINE)
    host.succeed("systemctl", "daemon-reload")
    host.succeed("systemctl", "start", "docker.service")
    add_plugin(host, NAME)
    host.succeed("pluginctl", "enable", NAME)
    first = wait_running(host, NAME)
    host.succeed("systemctl", "stop", "--no-block", "docker.service")
    wait_until(lambda: host.show("docker.service", "ActiveState") == "deactivating", "engine that stops", 30, 0.05)
    host.succeed("kill", "-KILL", first["Pid"])
    wait_until(lambda: wait_running(host, NAME)["Pid"] != first["Pid"], "another process of the plugin", 30, 0.05)
    assert host.show("docker.service", "ActiveState") == "deactivating"
    host.write("/run/go", "")


def test_a_purge_keeps_the_state_of_a_brokerd_that_runs(host):
    host.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
    host.succeed("chmod", "755", "/usr/sbin/policy-rc.d")
    pid = main_pid(host)
    done = host.run("dpkg", "--purge", "brokerd")
    assert done.returncode != 0 and "a brokerd still runs with it" in done.stderr, done
    assert main_pid(host) == pid and (host.root / "var/lib/brokerd/plugins").exists()
    host.succeed("rm", "/usr/sbin/policy-rc.d")
    host.succeed("systemctl", "stop", "brokerd.service")
    host.succeed("dpkg", "--purge", "brokerd")
    assert os.listdir(host.root / "var/lib/brokerd") == []


def assert_nothing_left(machine, plugin):
    assert_none_left(machine.succeed("ps", "-e", "-o", "args"))
    mounts = machine.succeed("cat", "/proc/self/mountinfo")
    assert plugin["Id"] not in mounts and "/var/lib/brokerd/" not in mounts
    for path in ("run/brokerd", "run/docker/plugins/acme"):
        assert not (machine.root / path).exists(), path
    for unit in ("brokerd.service", "brokerd.socket", "brokerd.slice"):
        assert machine.run("systemctl", "is-active", unit).stdout.strip() == "inactive", unit


def start_with_a_mounted_volume(host):
    mounting = {"propagatedMount": "/data", "linux": {"capabilities": ["CAP_SYS_ADMIN"]}}
    add_plugin(host, NAME, "tmpfs", {**script(ORDERLY), **mounting})
    host.succeed("pluginctl", "enable", NAME)
    for method, more in (("Create", ""), ("Mount", ',"ID":"1"')):
        host.succeed("pluginctl", "call", NAME, f"VolumeDriver.{method}", f'{{"Name":"v"{more}}}')
    return wait_running(host, NAME)


def test_a_removal_ends_everything_and_keeps_the_state(host, packages):
    """Also plugins, which outlive brokerd otherwise; they are asked to end, as when the host goes down."""
    assert [host.show(unit, "ActiveState") for unit in ("brokerd.service", "brokerd.socket")] == ["active", "active"]
    plugin = start_with_a_mounted_volume(host)
    assert f"/{plugin['Id']}/propagated-mount/v " in host.succeed("cat", "/proc/self/mountinfo")
    foreign = host.root / "run/docker/plugins/foreign.sock"  # of a plugin that brokerd has found, and does not own
    host.succeed("systemd-run", "--unit=foreign", "systemd-socket-activate", "--listen=/run/docker/plugins/foreign.sock", "cat")
    wait_until(foreign.exists, "the foreign socket", 30, 0.05)

    said = host.run("dpkg", "--remove", "brokerd")
    assert said.returncode == 0 and f"containers lose volumes that they have of them: {NAME}:latest" in said.stderr, said
    assert_nothing_left(host, plugin)
    assert foreign.exists()
    said = [str(entry["MESSAGE"]) for entry in host.journal(f"PLUGIN_NAME={NAME}:latest")]
    assert "is asked to end" in said and "ended in order" in said, said
    assert (host.root / "var/lib/brokerd/plugins/plugins.json").exists()

    install(host, packages[0])  # and all is as it was
    assert wait_running(host, NAME)["Id"] == plugin["Id"]
    host.succeed("systemctl", "stop", "brokerd.service")  # plugins run on; they end with the package all the same,
    shim = json.loads((host.root / f"run/brokerd/bundles/{plugin['Id']}/running").read_text())["ShimPid"]
    host.succeed("kill", "-STOP", shim)  # and so does what hangs
    host.succeed("dpkg", "--purge", "brokerd")
    assert_nothing_left(host, plugin)
    assert os.listdir(host.root / "var/lib/brokerd") == []  # a disk of its own here
    assert foreign.exists()


def test_a_removal_finds_other_directories_in_the_settings(host):
    """What brokerd was told to use elsewhere ends and is cleaned up as what is in the usual places."""
    places = {"state-root": "/srv/state", "runtime-root": "/run/elsewhere", "engine-socket-dir": "/run/engines"}
    usual = (host.root / "etc/brokerd/brokerd.conf").read_text()
    host.write("/etc/brokerd/brokerd.conf", usual + "".join(f"{name} = {path}\n" for name, path in places.items()))
    host.succeed("systemctl", "restart", "brokerd.service")
    plugin = start_with_a_mounted_volume(host)
    assert [path for path in plugin["Published"] if path.startswith("/run/engines/")]
    assert f"/srv/state/plugins/{plugin['Id']}/propagated-mount/v " in host.succeed("cat", "/proc/self/mountinfo")
    host.succeed("dpkg", "--remove", "brokerd")
    assert_none_left(host.succeed("ps", "-e", "-o", "args"))
    assert "/srv/state/" not in host.succeed("cat", "/proc/self/mountinfo")
    assert not list((host.root / "run/engines").rglob("*.sock"))
    assert (host.root / "srv/state/plugins/plugins.json").exists(), "a removal keeps the state"
