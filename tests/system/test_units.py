"""The systemd files as installed, read by systemd's own tools. Needs no running systemd."""

import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BROKERD_BUILD", ROOT / "build" / "release")).resolve()
DEADLINE_SECONDS = 20

# Each of these gives a service a mount namespace of its own; what plugins mount would not appear on the host.
NAMESPACE_DIRECTIVES = """ProtectSystem ProtectHome ProtectProc ProcSubset ProtectKernelTunables ProtectKernelModules
    ProtectKernelLogs ProtectControlGroups ProtectClock PrivateTmp PrivateDevices PrivateMounts PrivateUsers RootDirectory
    RootImage ReadWritePaths ReadOnlyPaths InaccessiblePaths ExecPaths NoExecPaths BindPaths BindReadOnlyPaths
    TemporaryFileSystem MountAPIVFS MountFlags LogNamespace DynamicUser""".split()

# Each of these is inherited by all that the service starts, and cannot be shed.
INHERITED_DIRECTIVES = """NoNewPrivileges CapabilityBoundingSet AmbientCapabilities SystemCallFilter SystemCallArchitectures
    RestrictNamespaces RestrictSUIDSGID RestrictAddressFamilies RestrictRealtime MemoryDenyWriteExecute LockPersonality
    ProtectHostname DevicePolicy DeviceAllow PrivateNetwork IPAddressDeny""".split()


def run(*command, **options):
    result = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **options)
    assert result.returncode == 0, f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


@pytest.fixture(name="directory")
def private_directory():
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as path:
        yield pathlib.Path(path)


@pytest.fixture(name="installed")
def installation(directory):
    """A staged installation, as a package would hold it."""
    run("cmake", "--install", BUILD, "--prefix", directory / "usr")
    return directory / "usr"


@pytest.fixture(name="units")
def installed_units(installed):
    return installed / "lib/systemd/system"


def test_installs_programs_and_systemd_files(installed):
    for name in ("sbin/brokerd", "bin/pluginctl", "libexec/brokerd/brokerd-shim", "lib/systemd/system/brokerd.service", "lib/systemd/system/brokerd.socket",
                 "lib/systemd/system/brokerd-engines.target", "lib/sysusers.d/brokerd.conf", "lib/tmpfiles.d/brokerd.conf"):
        assert (installed / name).is_file(), name


def test_unit_starts_the_installed_program(installed, units):
    assert f"\nExecStart={installed}/sbin/brokerd\n" in (units / "brokerd.service").read_text()


def test_systemd_has_nothing_to_say_about_the_units(units):
    assert run("systemd-analyze", "verify", "--man=no", units / "brokerd.service", units / "brokerd.socket") == ""


def test_has_no_restriction_that_plugins_would_inherit(units):
    """What a service may not do, its children may not either; a plugin may do whatever the operator granted. (dockerd's
    and containerd's units are as exposed, for the same reason.)"""
    directives = set(re.findall(r"^(\w+)=", (units / "brokerd.service").read_text(), re.MULTILINE))
    assert not directives & set(INHERITED_DIRECTIVES)
    assert (units / "brokerd.slice").is_file()


def test_service_gets_no_mount_namespace(units):
    set_here = re.findall(r"(?m)^(\w+)=", (units / "brokerd.service").read_text())
    assert not set(set_here) & set(NAMESPACE_DIRECTIVES)


def test_sysusers_and_tmpfiles_can_be_read(installed, directory):
    assert "brokerd" in run("systemd-sysusers", "--dry-run", installed / "lib/sysusers.d/brokerd.conf",
                            env={**os.environ, "SYSTEMD_LOG_LEVEL": "info"}) or "brokerd:" in pathlib.Path("/etc/group").read_text()
    place = directory / "root"
    (place / "etc/docker").mkdir(parents=True, mode=0o700)  # an administrator's: there may be keys in it
    run("systemd-tmpfiles", "--create", f"--root={place}", installed / "lib/tmpfiles.d/brokerd.conf")
    assert (place / "run/docker/plugins").is_dir()
    assert (place / "run/brokerd").is_dir()
    assert [oct((place / path).stat().st_mode & 0o7777) for path in ("run/docker", "etc/docker", "etc/docker/plugins")] == ["0o700", "0o700", "0o755"]


def test_serves_the_control_socket_that_systemd_made(directory):
    """The first connection starts brokerd, is not lost, and is answered."""
    control = directory / "control.sock"
    for name in ("engine", "etc", "run", "state"):
        (directory / name).mkdir()
    (directory / "brokerd.conf").touch()
    with open(directory / "log", "wb") as log:
        daemon = subprocess.Popen(
            ["systemd-socket-activate", f"--listen={control}", "--fdname=control", str(BUILD / "daemon/brokerd"),
             "--config", str(directory / "brokerd.conf"), "--control-socket", str(control), "--state-root", str(directory / "state"),
             "--runtime-root", str(directory / "run"), "--engine-socket-dir", str(directory / "engine"), "--spec-dir", str(directory / "etc")],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not control.exists():
            assert daemon.poll() is None and time.monotonic() < deadline, (directory / "log").read_text()
            time.sleep(0.01)
        inode = control.stat().st_ino
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(DEADLINE_SECONDS)
            while client.connect_ex(str(control)) != 0:  # it is refused between bind() and listen()
                assert time.monotonic() < deadline, (directory / "log").read_text()
                time.sleep(0.01)
            client.sendall(b"GET /broker/v1/plugins HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        head, _blank, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), (directory / "log").read_text()
        assert json.loads(body) == {"Plugins": []}
    finally:
        daemon.terminate()
        daemon.wait(DEADLINE_SECONDS)
    assert control.exists() and control.stat().st_ino == inode, "a socket that systemd made is systemd's to remove"
