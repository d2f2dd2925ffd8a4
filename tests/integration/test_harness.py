"""The test equipment itself, without brokerd: what fails here says nothing about it."""

import os
import signal
import subprocess

import pytest
from harness import isolation
from harness.build import SANITIZERS
from harness.waiting import wait_until


def test_an_engine_uses_mobyfs_directly(dockerd, mobyfs):
    plugin = mobyfs(f"unix://{isolation.ENGINE_SOCKETS}/mobyfs.sock")
    engine = dockerd()
    engine.create_volume("mobyfs", "vol")
    assert engine.run("vol", "echo hello > /v/f; cat /v/f") == "hello\n"
    assert (plugin.root / "vol" / "f").read_text() == "hello\n"
    engine.remove_volume("vol")
    assert [call["Method"] for call in plugin.calls()].count("VolumeDriver.Remove") == 1


def test_podman_uses_mobyfs_directly(directory, podman, mobyfs):
    plugin = mobyfs(f"unix://{directory}/moby.sock")
    engine = podman({"mobyfs": f"{directory}/moby.sock"})
    engine.create_volume("mobyfs", "vol")
    assert engine.run("vol", "echo hello > /v/f; cat /v/f") == "hello\n"
    assert (plugin.root / "vol" / "f").read_text() == "hello\n"
    engine.remove_volume("vol")


def test_an_engine_uses_rclone_directly(dockerd, rclone):
    engine = dockerd()
    plugin = rclone()
    with open(f"{isolation.ENGINE_SPECS}/rclone.spec", "w", encoding="utf-8") as spec:
        spec.write(plugin.url)
    engine.create_volume("rclone", "vol", plugin.options)
    assert engine.run("vol", "echo hello > /v/f; cat /v/f") == "hello\n"
    assert (plugin.remote / "f").read_text() == "hello\n"
    engine.remove_volume("vol")


def test_the_host_is_out_of_reach():
    with open("/proc/1/mountinfo", encoding="utf-8") as host:
        host_mounts = {line.split()[0] for line in host}
    with open("/proc/self/mountinfo", encoding="utf-8") as here:
        our_mounts = {line.split()[0] for line in here}
    assert host_mounts.isdisjoint(our_mounts)


def is_socket(descriptor):
    try:
        return os.readlink(descriptor).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False


@pytest.mark.skipif(not SANITIZERS, reason="only a build with sanitizers has reports")
def test_a_report_that_nobody_reads_is_found(started, reports):
    """Of a program without our environment, whose output and exit status are thrown away, as shims are."""
    command = started.pluginctl_command("events")
    with subprocess.Popen(command, env={}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        # Not before it has come to its own code: what a program opens while it is loaded is no socket.
        sockets = f"/proc/{process.pid}/fd"
        wait_until(lambda: any(is_socket(f"{sockets}/{fd}") for fd in os.listdir(sockets)), "connection to brokerd")
        process.send_signal(signal.SIGSEGV)
    text, = reports.fresh(forget=True)
    assert f"report.pluginctl.{process.pid}" in text and "Sanitizer: SEGV" in text
