"""Limits of a plugin, from the command line to the kernel."""

import pathlib

import pytest
from harness.managed import inspect, install, push_plugin, succeed
from harness.running import create_sample, wait_gone

NAME = "sample/limited"


def cgroup_file(pid, controller, name_v1, name_v2):
    """What a file of the process's cgroup says, on either version of cgroups."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return pathlib.Path(f"/sys/fs/cgroup/{controller}{path}/{name_v1}").read_text().strip()
    return pathlib.Path(f"/sys/fs/cgroup{path}/{name_v2}").read_text().strip()


@pytest.fixture
def limited(started):
    """A broker with the sample plugin; nothing of it is left to run on."""
    create_sample(started, NAME)
    yield started
    started.pluginctl("disable", NAME)  # refused where it is disabled already


def test_limits_hold_in_the_kernel_until_they_are_removed(limited):
    succeed(limited.pluginctl("set", NAME, "--memory", "64m", "--cpus", "0.5", "--pids", "100", "BEHAVIOUR="))
    limits = {"Memory": 64 << 20, "NanoCpus": 500_000_000, "Pids": 100}
    assert limited.plugin(NAME)["Limits"] == limits
    succeed(limited.pluginctl("enable", NAME))
    running = limited.wait_state(NAME, "running")
    assert running["Limits"] == limits
    assert cgroup_file(running["Pid"], "pids", "pids.max", "pids.max") == "100"
    assert cgroup_file(running["Pid"], "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert cgroup_file(running["Pid"], "cpu", "cpu.cfs_quota_us", "cpu.max") in ("50000", "50000 100000")

    refused = limited.pluginctl("set", NAME, "--pids", "7")
    assert refused.returncode == 1 and "cannot set on an active plugin" in refused.stderr
    succeed(limited.pluginctl("disable", NAME))
    wait_gone(running["Pid"])
    succeed(limited.pluginctl("set", NAME, "--memory", "0", "--pids", "0"))
    succeed(limited.pluginctl("enable", NAME))
    running = limited.wait_state(NAME, "running")
    assert running["Limits"] == {"NanoCpus": 500_000_000}
    assert cgroup_file(running["Pid"], "pids", "pids.max", "pids.max") == "max"


def test_a_wrong_limit_changes_nothing(limited):
    for arguments in (["--memory", "1m"], ["--cpus", "0.001"], ["--memory", "64m", "NOTHING=1"]):
        refused = limited.pluginctl("set", NAME, *arguments)
        assert refused.returncode == 1, refused
        assert limited.plugin(NAME)["Limits"] == {}
    assert limited.pluginctl("set", NAME, "--memory", "much").returncode == 2


def test_an_upgrade_keeps_limits(started, registry, directory):
    name = f"{registry.host}/sample/limited:1"
    push_plugin(started, registry, "sample/limited:1", directory / "one")
    succeed(install(started, name))
    succeed(started.pluginctl("set", name, "--pids", "50"))
    push_plugin(started, registry, "sample/limited:2", directory / "two", {"description": "newer"})
    newer = f"{registry.host}/sample/limited:2"
    succeed(started.pluginctl("upgrade", "--grant-all-permissions", "--skip-remote-check", name, newer))
    assert inspect(started, name)["Config"]["Description"] == "newer"
    assert started.plugin(name)["Limits"] == {"Pids": 50}
