"""pluginctl against a running brokerd: output for people and for scripts, and exit statuses."""

import json
import subprocess

import pytest
from harness.brokerd import PLUGINCTL
from harness.process import Process
from harness.waiting import wait_until


def objects(text):
    """What --format json prints: an object a line, or one list."""
    lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 and isinstance(lines[0], list) else lines


def test_ls(busy):
    broker, plugin = busy
    shown = broker.pluginctl("ls")
    assert shown.returncode == 0 and shown.stderr == ""
    head, *rows = shown.stdout.splitlines()
    assert head.split() == ["NAME", "KIND", "IMPLEMENTS", "STATUS", "ENDPOINT"]
    by_name = {row.split()[0]: row for row in rows}
    assert set(by_name) == {"mobyfs", "absent", "invalid"}
    assert plugin.url in by_name["mobyfs"] and "active" in by_name["mobyfs"] and "VolumeDriver" in by_name["mobyfs"]
    assert "failed" in by_name["absent"] and "invalid" in by_name["invalid"]
    assert {item["Name"] for item in objects(broker.pluginctl("ls", "--format", "json").stdout)} == set(by_name)
    assert broker.pluginctl("list").stdout == broker.pluginctl("ls").stdout
    assert broker.pluginctl("ls", "-q").stdout.split() == sorted(by_name)
    assert broker.pluginctl("ls", "-q", "--filter", "capability=authz").stdout.split() == ["mobyfs"]


def test_inspect(busy):
    broker, plugin = busy
    shown = broker.pluginctl("inspect", "mobyfs")
    assert shown.returncode == 0
    value = json.loads(shown.stdout)
    view = value[0] if isinstance(value, list) else value
    assert view["Endpoint"] == plugin.url and view["State"] == "active"
    missing = broker.pluginctl("inspect", "nobody")
    assert missing.returncode == 1
    assert "nobody" in missing.stderr and len(missing.stderr.strip().splitlines()) == 1


def test_call(busy):
    broker, plugin = busy
    assert broker.pluginctl("call", "mobyfs", "VolumeDriver.Create", '{"Name": "vol"}').returncode == 0
    listed = broker.pluginctl("call", "mobyfs", "VolumeDriver.List")
    assert listed.returncode == 0
    assert json.loads(listed.stdout)["Volumes"][0]["Name"] == "vol"
    refused = broker.pluginctl("call", "mobyfs", "VolumeDriver.Get", '{"Name": "nothing"}')
    assert refused.returncode == 1 and "no such volume" in refused.stderr + refused.stdout
    assert broker.pluginctl("call", "mobyfs", "NetworkDriver.Join").returncode == 1
    assert broker.pluginctl("call", "absent", "VolumeDriver.List").returncode == 1
    assert len(plugin.calls("VolumeDriver.Create")) == 1


def test_events(busy, directory, closing):
    broker, plugin = busy
    watcher = Process([PLUGINCTL, "-H", f"unix://{broker.control}", "events", "--format", "json"], directory / "events")
    try:
        def seen(plugin):
            return (plugin, "active") in [(item["Plugin"], item["Action"]) for item in objects(watcher.output())]
        for number in range(100):  # the first of them may come before the command watches
            broker.define(f"fresh{number}", plugin.url)
            broker.wait_state(f"fresh{number}", "active")
            if any(seen(f"fresh{earlier}") for earlier in range(number + 1)):
                break
        wait_until(lambda: seen(f"fresh{number}"), lambda: f"event in the output of pluginctl events: {watcher.output()}")
    finally:
        watcher.kill()


def test_activate(busy):
    broker, plugin = busy
    assert broker.pluginctl("activate", "mobyfs").returncode == 0
    assert len(plugin.calls("Plugin.Activate")) == 2
    failed = broker.pluginctl("activate", "absent")
    assert failed.returncode == 1
    assert "refused" in failed.stderr.lower()


def test_version_completion_and_help(busy):
    broker, _plugin = busy
    assert broker.pluginctl("version").returncode == 0
    for shell in ("bash", "zsh", "fish"):
        script = broker.pluginctl("completion", shell)
        assert script.returncode == 0 and "pluginctl" in script.stdout
    checked = subprocess.run(["bash", "-n"], input=broker.pluginctl("completion", "bash").stdout, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    for command in ("ls", "inspect", "call", "events", "doctor", "activate", "version", "completion"):
        shown = broker.pluginctl(command, "--help")
        assert shown.returncode == 0 and command in shown.stdout
        assert command in broker.pluginctl("--help").stdout


@pytest.mark.parametrize("arguments", [["no-such-command"], ["ls", "--no-such-flag"], ["inspect"], ["call", "mobyfs"], ["ls", "--filter", "nonsense"]])
def test_wrong_usage_has_status_2(busy, arguments):
    broker, _plugin = busy
    result = broker.pluginctl(*arguments)
    assert result.returncode == 2, result
    assert result.stderr.strip() and result.stdout == ""


def test_without_a_daemon_the_status_is_125(directory):
    for arguments in (["ls"], ["inspect", "x"], ["call", "x", "VolumeDriver.List"], ["doctor"], ["events"], ["activate", "x"]):
        result = subprocess.run([PLUGINCTL, "-H", f"unix://{directory}/nothing.sock", *arguments], capture_output=True, text=True, timeout=30)
        assert result.returncode == 125, (arguments, result)
        assert str(directory) in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_the_host_may_come_from_the_environment(busy):
    broker, _plugin = busy
    result = subprocess.run([PLUGINCTL, "ls", "-q"], capture_output=True, text=True, timeout=30, env={"BROKERD_HOST": f"unix://{broker.control}"})
    assert result.returncode == 0 and "mobyfs" in result.stdout


def test_closed_standard_streams(busy):
    """Their places are not taken by sockets; output that goes nowhere is a failure, and an input is at its end."""
    broker, _plugin = busy

    def ended(command, streams):
        script = f'"$0" -H "unix://$1" {command} {streams}'
        return subprocess.run(["sh", "-c", script, PLUGINCTL, broker.control], capture_output=True, text=True, timeout=20)

    for streams in ("<&-", "2>&-", "<&- 2>&-"):
        shown = ended("ls -q", streams)
        assert (shown.returncode, shown.stdout, shown.stderr) == (0, broker.pluginctl("ls", "-q").stdout, ""), streams
    for command in ("ls", "events --replay 1", "call mobyfs VolumeDriver.List"):
        for streams in (">&-", "<&- >&-", "<&- >&- 2>&-"):
            lost = ended(command, streams)
            assert lost.returncode == 1, (command, streams, lost)
            assert "2>&-" in streams or "cannot write the output: Bad file descriptor" in lost.stderr
    assert ended("dial-stdio", "<&-").returncode == 0
    assert ended("install --grant-all-permissions x/y", "<&- >&- 2>&-").returncode == 1
    assert broker.pluginctl("ls", "-q").returncode == 0
