"""Each definition that does not work is explained, with the remedy."""

import json
import os

import pytest
from harness.plugins import free_port
from harness.waiting import wait_until


def finding(broker, plugin, problem):
    """The finding of that kind; waits until the broker has it."""
    def search():
        return next((found for found in broker.findings(plugin) if found["Problem"] == problem), None)
    found = wait_until(search, lambda: f"finding {problem} of {plugin}: {broker.findings(plugin)}", 15)
    assert found["Severity"] in ("error", "warning")
    assert found["Cause"] and found["Remedy"], found
    return found


def test_a_healthy_broker_has_no_findings(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    assert broker.findings() == []
    shown = broker.pluginctl("doctor")
    assert shown.returncode == 0
    assert "No problems" in shown.stdout


def test_every_kind_of_trouble_at_once(broker, mobyfs, certificates):
    plugin = mobyfs()
    broker = broker(timeout=1)
    shadowed = broker.define("shadowed", plugin.url, directory=1)
    broker.define("shadowed", plugin.url)
    invalid = broker.write("invalid.json", '{\n  "Name": "invalid",\n  "Addr" "tcp://localhost:1"\n}')
    mismatch = broker.write("mismatch.json", json.dumps({"Name": "another", "Addr": plugin.url}))
    unsafe = broker.define("unsafe", plugin.url)
    os.chmod(unsafe, 0o666)
    absent_port = free_port()
    broker.define("absent", f"tcp://127.0.0.1:{absent_port}")
    broker.define("nosocket", "unix:///nonexistent/x.sock")
    broker.define("nohost", "tcp://no.such.host.invalid:80")
    expired = mobyfs(name="expired", tls_cert=certificates / "expired.pem", tls_key=certificates / "expired.key")
    broker.define_json("expired", expired.url, {"CAFile": certificates / "ca.pem"})
    untrusted = mobyfs(name="untrusted", tls_cert=certificates / "other-server.pem", tls_key=certificates / "other-server.key")
    broker.define_json("untrusted", untrusted.url, {"CAFile": certificates / "ca.pem"})
    broker.define_json("nofile", untrusted.url, {"CAFile": certificates / "nothing-here.pem"})
    broker.define("rejected", mobyfs(name="rejected", broken="not-json").url)
    broker.define("volumes", plugin.url)
    broker.write("comma.json", '{"Name": "comma", "Addr": "%s",}' % plugin.url)
    broker.start()
    broker.wait_state("volumes", "active")
    assert broker.lookup("volumes", "NetworkDriver").status == 409

    found = finding(broker, "shadowed", "shadowed")
    assert str(shadowed) in found["File"] + found["Cause"]
    found = finding(broker, "invalid", "invalid")
    assert f"{invalid}:3:" in found["Cause"]
    assert found["File"] == str(invalid)
    found = finding(broker, "mismatch", "name-mismatch")
    assert found["File"] == str(mismatch) and "another" in found["Cause"]
    found = finding(broker, "unsafe", "unsafe-owner")
    assert found["File"] == str(unsafe) and "chmod" in found["Remedy"]
    found = finding(broker, "absent", "unreachable")
    assert "refused" in found["Cause"].lower() and str(absent_port) in found["Cause"]
    found = finding(broker, "nosocket", "unreachable")
    assert "/nonexistent/x.sock" in found["Cause"] + found["Remedy"]
    found = finding(broker, "nohost", "unreachable")
    assert "no.such.host.invalid" in found["Cause"]
    found = finding(broker, "expired", "certificate")
    assert "expired" in found["Cause"]
    found = finding(broker, "untrusted", "certificate")
    assert "CAFile" in found["Cause"] + found["Remedy"]
    found = finding(broker, "nofile", "certificate")
    assert "nothing-here.pem" in found["Cause"] + found["Remedy"]
    found = finding(broker, "rejected", "rejected")
    assert "JSON" in found["Cause"]
    found = finding(broker, "volumes", "wrong-capability")
    assert "NetworkDriver" in found["Cause"]
    found = finding(broker, "comma", "warning")
    assert "comma" in found["Cause"]

    shown = broker.pluginctl("doctor")
    assert shown.returncode == 1
    for plugin_name in ("shadowed", "invalid", "mismatch", "unsafe", "absent", "nosocket", "nohost", "expired", "untrusted", "rejected", "volumes"):
        assert plugin_name in shown.stdout
    assert "→" in shown.stdout
    lines = [json.loads(line) for line in broker.pluginctl("doctor", "--format", "json").stdout.splitlines()]
    listed = lines[0] if len(lines) == 1 and isinstance(lines[0], list) else lines
    assert {item["Plugin"] for item in listed} == {item["Plugin"] for item in broker.findings()}
    severities = [item["Severity"] for item in broker.findings()]
    assert severities == sorted(severities), "worst first"


def test_a_gated_call_is_a_wrong_capability_too(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    reply = broker.call("mobyfs", "NetworkDriver.GetCapabilities")
    assert reply.status == 404 and "NetworkDriver" in reply.error
    assert plugin.calls("NetworkDriver.GetCapabilities") == []
    assert "NetworkDriver" in finding(broker, "mobyfs", "wrong-capability")["Cause"]


@pytest.mark.parametrize("length", [90, 200])
def test_a_name_too_long_for_a_socket_is_told(broker, mobyfs, length):
    plugin = mobyfs()
    broker = broker()
    name = "n" * length
    broker.define(name, plugin.url)
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    view = broker.plugin(name)
    if view["Published"] == []:
        assert "107" in finding(broker, name, "not-published")["Cause"]
    else:
        assert length == 90


def test_directories_on_two_file_systems_are_told(broker, mobyfs):
    """A socket cannot have names on both, so engines would not see it."""
    plugin = mobyfs()
    broker = broker(engine_sockets="/run/elsewhere")
    broker.define("mobyfs", plugin.url)
    broker.start()
    view = broker.wait_state("mobyfs", "active")
    assert view["Published"] == [str(broker.published("mobyfs"))]
    found = finding(broker, "mobyfs", "not-published")
    assert "file system" in found["Cause"] and "--runtime-root" in found["Cause"] + found["Remedy"]
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200


def test_findings_go_away_when_the_trouble_is_over(broker, mobyfs):
    plugin = mobyfs()
    broker = broker(timeout=1)
    broker.write("mobyfs.spec", "nonsense")
    broker.start()
    finding(broker, "mobyfs", "invalid")
    broker.define("mobyfs", f"tcp://127.0.0.1:{free_port()}")
    finding(broker, "mobyfs", "unreachable")
    broker.define("mobyfs", plugin.url)
    broker.wait_state("mobyfs", "active")
    assert broker.findings() == []


def test_the_doctor_does_not_wait_for_anybody(broker, mobyfs):
    broker = broker(timeout=20)
    for number in range(5):
        broker.define(f"stuck{number}", mobyfs(name=f"stuck{number}", broken="never-answer").url)
    broker.start()
    assert broker.get("/broker/v1/doctor", timeout=5).status == 200
