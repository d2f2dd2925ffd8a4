"""`pluginctl wait` and `install` with plugins that run."""

import contextlib
import os
import pathlib
import subprocess

from harness.managed import succeed
from harness.plugin_images import make_plugin
from harness.running import create_sample, enable_sample, make_sample
from harness.waiting import wait_until


def is_connected(process):
    """Whether it has a socket that is connected (state 3 in proc(5), /proc/net/unix)."""
    with contextlib.suppress(FileNotFoundError):  # a descriptor that has gone meanwhile
        its = {os.readlink(fd) for fd in pathlib.Path(f"/proc/{process.pid}/fd").iterdir()}
        with open("/proc/self/net/unix", encoding="utf-8") as table:
            return any(fields[5] == "03" and f"socket:[{fields[6]}]" in its for fields in map(str.split, table))
    return False


def waiting(broker, *arguments):
    """A `pluginctl wait` that is connected to the broker. What it waits for has not come when it asks."""
    process = subprocess.Popen(broker.pluginctl_command("wait", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: is_connected(process) or process.poll() is not None, "pluginctl to watch", 10)
    return process


def ended(process):
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_waiting_for_a_plugin_that_somebody_enables(started):
    create_sample(started, "acme/sample")
    healthy = waiting(started, "acme/sample")
    running = waiting(started, "acme/sample:latest", "--for=running", "--timeout", "60")
    succeed(started.pluginctl("enable", "acme/sample"))
    assert ended(healthy) == (0, "", "")
    assert ended(running) == (0, "", "")
    disabled = waiting(started, "acme/sample", "--for=disabled")
    succeed(started.pluginctl("disable", "acme/sample"))
    assert ended(disabled) == (0, "", "")


def test_waiting_ends_where_there_is_nothing_to_wait_for(started):
    create_sample(started, "acme/sample")
    late = started.pluginctl("wait", "acme/sample", "--timeout", "0")
    assert (late.returncode, late.stderr) == (1, "pluginctl wait: acme/sample:latest is not healthy after 0 s, it is disabled\n")
    assert started.pluginctl("wait", "acme/absent").returncode == 1
    removed = waiting(started, "acme/sample")
    succeed(started.pluginctl("rm", "acme/sample"))
    status, _, err = ended(removed)
    assert status == 1 and "acme/sample" in err


def test_an_installation_that_does_not_start_can_be_repaired(started, registry, directory):
    name = f"{registry.host}/acme/late"
    for path, plugin in (("bad", make_plugin(directory / "bad")), ("good", make_sample(directory / "good"))):
        succeed(started.pluginctl("create", f"{name}:{path}", plugin))
        succeed(started.pluginctl("push", f"{name}:{path}"))
        succeed(started.pluginctl("rm", f"{name}:{path}"))
    failed = started.pluginctl("install", "--grant-all-permissions", f"{name}:bad")
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"pluginctl install: {name}:bad is installed but disabled: ")
    for remedy in (f'"pluginctl logs {name}:bad"', f'"pluginctl enable {name}:bad"'):
        assert remedy in failed.stderr
    assert started.plugin(f"{name}:bad")["State"] == "disabled"

    succeed(started.pluginctl("install", "--disable", "--grant-all-permissions", f"{name}:good"))
    assert started.plugin(f"{name}:good")["State"] == "disabled"
    for _ in range(2):  # the second time it runs already
        succeed(started.pluginctl("install", "--grant-all-permissions", f"{name}:good"))
        assert started.plugin(f"{name}:good")["State"] == "running"
    refused = started.pluginctl("rm", f"{name}:good")
    assert refused.returncode == 1 and f"plugin {name}:good is enabled" in refused.stderr
    succeed(started.pluginctl("rm", "--force", f"{name}:good"))


def test_inspect_tells_what_runs(started):
    plugin = enable_sample(started, "acme/sample")
    shown = succeed(started.pluginctl("inspect", "-f", "{{.Broker.State}} {{.Broker.Pid}} {{.Broker.Restarts}} {{.Enabled}}", "acme/sample"))
    assert shown == f"running {plugin['Pid']} 0 true\n"
    succeed(started.pluginctl("rm", "-f", "acme/sample"))
