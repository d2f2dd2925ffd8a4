"""The handshake: once for everybody who asks, again when the plugin comes back, and refused when it is nonsense."""

import concurrent.futures

import pytest

REJECTIONS = {
    "not-json": "JSON",
    "not-object": "object",
    "no-implements": "Implements",
    "empty-implements": "empty",
    "unknown-capability": "TeapotDriver",
    "wrong-type": "list",
    "status-404": "404",
    "status-500": "500",
    "huge-manifest": "bytes",
}
BREAKDOWNS = ["truncated", "garbage", "close", "never-answer"]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("activation", ["eager", "lazy"])
def test_everybody_who_asks_waits_for_the_same_handshake(broker, mobyfs, directory, kind, activation):
    plugin = mobyfs(f"unix://{directory}/moby.sock" if kind == "unix" else "tcp", delay_method="Plugin.Activate=1.5")
    broker = broker(activation=activation, timeout=10)
    broker.define("mobyfs", plugin.url)
    broker.start()
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(broker.call, "mobyfs", "Plugin.Activate", timeout=20) for _ in range(10)]
        waiting += [pool.submit(broker.call, "mobyfs", "VolumeDriver.List", timeout=20) for _ in range(10)]
        waiting += [pool.submit(broker.lookup, "mobyfs", "VolumeDriver", timeout=10) for _ in range(10)]
        assert {future.result().status for future in waiting} == {200}
    assert len(plugin.calls("Plugin.Activate")) == 1
    assert len(plugin.calls("VolumeDriver.List")) == 10


def test_lazy_activation_asks_nobody_who_was_not_asked_for(broker, mobyfs):
    plugin, other = mobyfs(), mobyfs(name="other")
    broker = broker(activation="lazy")
    broker.define("mobyfs", plugin.url)
    broker.define("other", other.url)
    broker.start()
    assert broker.lookup("other", timeout=5).status == 200
    assert broker.plugin("mobyfs")["State"] == "discovered"
    assert plugin.calls() == []


def test_plugins_are_activated_in_parallel(broker, mobyfs):
    broker = broker(timeout=10)
    names = [f"slow{number}" for number in range(8)]
    for name in names:
        broker.define(name, mobyfs(name=name, delay_method="Plugin.Activate=2").url)
    broker.start()
    for name in names:
        broker.wait_state(name, "active", 8)  # one after another they would take sixteen seconds


@pytest.mark.parametrize("mode", REJECTIONS)
def test_an_answer_that_is_no_manifest_is_rejected_with_the_reason(broker, mobyfs, mode):
    plugin = mobyfs(broken=mode)
    broker = broker(timeout=2)
    broker.define("broken", plugin.url)
    broker.start()
    view = broker.wait_state("broken", "failed", 15)
    assert REJECTIONS[mode] in view["Reason"], view["Reason"]
    assert view["Implements"] == []
    finding = broker.findings("broken")[0]
    assert finding["Problem"] == "rejected" and finding["Remedy"], finding
    assert broker.lookup("broken", timeout=0).status == 503


@pytest.mark.parametrize("mode", BREAKDOWNS)
def test_a_handshake_that_breaks_off_fails_with_a_reason(broker, mobyfs, mode):
    plugin = mobyfs(broken=mode)
    broker = broker(timeout=2)
    broker.define("broken", plugin.url)
    broker.start()
    view = broker.wait_state("broken", "failed", 15)
    assert view["Reason"] and view["Implements"] == []
    reply = broker.call("broken", "VolumeDriver.List", timeout=30)
    assert reply.status in (502, 503, 504) and "broken" in reply.error
    assert plugin.process.running


def test_a_plugin_that_comes_back_changed_is_activated_again_and_told_of(broker, mobyfs):
    plugin = mobyfs(implements="VolumeDriver")
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    events = broker.events()
    assert broker.call("mobyfs", "NetworkDriver.GetCapabilities").status == 404
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200
    plugin.stop()
    plugin.start(implements="NetworkDriver")
    broker.call("mobyfs", "VolumeDriver.List", timeout=30)  # whatever it says: now brokerd has seen the connection end
    event = events.wait_for("mobyfs", "changed", 30)
    assert event["Implements"] == ["NetworkDriver"]
    assert broker.wait_state("mobyfs", "active")["Implements"] == ["NetworkDriver"]
    assert broker.call("mobyfs", "Plugin.Activate").json() == {"Implements": ["NetworkDriver"]}
    assert broker.call("mobyfs", "NetworkDriver.GetCapabilities").status == 200
    assert broker.call("mobyfs", "VolumeDriver.List").status == 404


def test_a_unix_plugin_that_replaces_its_socket_is_activated_again(broker, mobyfs, directory):
    plugin = mobyfs(f"unix://{directory}/moby.sock", implements="VolumeDriver")
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    events = broker.events()
    plugin.stop()
    plugin.start(implements="VolumeDriver,authz")
    assert events.wait_for("mobyfs", "changed", 30)["Implements"] == ["VolumeDriver", "authz"]
    assert broker.call("mobyfs", "AuthZPlugin.AuthZReq").json()["Allow"] is True


def test_activate_now_asks_the_plugin_again(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    assert broker.post("/broker/v1/plugins/mobyfs/activate").status == 200
    assert len(plugin.calls("Plugin.Activate")) == 2
    assert broker.pluginctl("activate", "mobyfs").returncode == 0
    assert len(plugin.calls("Plugin.Activate")) == 3


def test_the_handshake_is_what_docker_documents(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    (handshake,) = plugin.calls("Plugin.Activate")
    headers = {name.lower(): value for name, value in handshake["Headers"]}
    assert handshake["Body"] == ""
    assert headers["accept"] == "application/vnd.docker.plugins.v1.2+json"


def test_a_new_socket_is_activated_at_once(broker, mobyfs, directory):
    broker = broker(timeout=10)
    broker.define("mobyfs", f"unix://{directory}/moby.sock")
    broker.start()
    broker.wait_state("mobyfs", "activating")
    mobyfs(f"unix://{directory}/moby.sock")
    broker.wait_state("mobyfs", "active", 3)
