"""Calls through published sockets: every kind of endpoint, gating, large bodies, pooling, deadlines of life."""

import concurrent.futures
import json
import socket

import pytest
from harness import unix_http
from harness.waiting import wait_until


@pytest.fixture
def active(broker, mobyfs):
    """Makes a broker with an active mobyfs behind it."""
    def make(listen="tcp", scheme=None, threads=1, **switches):
        plugin = mobyfs(listen, **switches)
        made = broker(threads=threads)
        made.define("mobyfs", plugin.url if scheme is None else plugin.url.replace("tcp", scheme))
        made.start()
        made.wait_state("mobyfs", "active")
        return made, plugin
    return make


@pytest.mark.parametrize("endpoint", ["unix", "tcp", "http", "ipv6", "localhost"])
def test_every_kind_of_endpoint(broker, mobyfs, directory, endpoint):
    listen = {"unix": f"unix://{directory}/moby.sock", "ipv6": "tcp://[::1]:0"}.get(endpoint, "tcp")
    plugin = mobyfs(listen)
    url = plugin.url
    if endpoint == "ipv6":
        url = "tcp://[::1]:" + plugin.process.output().strip().rpartition(":")[2]
    elif endpoint == "http":
        url = url.replace("tcp", "http")
    elif endpoint == "localhost":
        url = url.replace("127.0.0.1", "localhost")
    broker = broker()
    broker.define("mobyfs", url)
    broker.start()
    assert broker.wait_state("mobyfs", "active")["Endpoint"] == url
    for path in (broker.published("mobyfs"), broker.engine_socket("mobyfs")):
        assert unix_http.call(path, "VolumeDriver.List").json()["Err"] == ""


def test_the_manifest_gates_methods(active):
    broker, plugin = active(implements="VolumeDriver,authz")
    assert broker.call("mobyfs", "AuthZPlugin.AuthZReq").status == 200
    for method in ("NetworkDriver.Join", "IpamDriver.GetCapabilities", "LogDriver.StartLogging", "Nonsense.Method"):
        reply = broker.call("mobyfs", method)
        assert reply.status == 404 and method.partition(".")[0] in reply.error, reply
    assert {call["Method"] for call in plugin.calls()} == {"Plugin.Activate", "AuthZPlugin.AuthZReq"}


def test_activate_is_answered_from_the_manifest(active):
    broker, plugin = active()
    for _ in range(10):
        assert broker.call("mobyfs", "Plugin.Activate").json() == {"Implements": ["VolumeDriver"]}
    assert len(plugin.calls("Plugin.Activate")) == 1


def test_the_plugins_own_errors_pass_unchanged(active):
    broker, _plugin = active()
    reply = broker.call("mobyfs", "VolumeDriver.Get", {"Name": "nothing"})
    assert reply.status == 500
    assert reply.json() == {"Err": "no such volume: nothing"}


@pytest.mark.parametrize("host", [b"", b"plugin", b"localhost"])
def test_the_host_headers_of_real_engines(active, host):
    broker, plugin = active()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(broker.published("mobyfs")))
        client.sendall(b"POST /VolumeDriver.List HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 2\r\n\r\n{}")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    assert len(plugin.calls("VolumeDriver.List")) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_request_body_arrives_whole(active, chunked):
    broker, plugin = active()
    body = json.dumps({"Name": "vol", "Opts": {"padding": "x" * (16 << 20)}}).encode()
    before = broker.memory()
    connection = unix_http.Connection(broker.published("mobyfs"), timeout=60)
    if chunked:
        pieces = (body[start:start + 65536] for start in range(0, len(body), 65536))
        connection.request("POST", "/VolumeDriver.Create", pieces, {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    else:
        connection.request("POST", "/VolumeDriver.Create", body)
    response = connection.getresponse()
    assert response.status == 200 and json.loads(response.read()) == {"Err": ""}
    connection.close()
    assert (plugin.root / "vol").is_dir()
    assert broker.memory() - before < 8192


def test_upstream_connections_are_pooled(active):
    broker, plugin = active()
    for _ in range(50):
        assert broker.call("mobyfs", "VolumeDriver.List").status == 200
    assert len({call["Connection"] for call in plugin.calls("VolumeDriver.List")}) <= 2


@pytest.mark.parametrize("threads", [1, 2])
def test_answers_are_not_mixed_up(active, threads):
    broker, _plugin = active(threads=threads)
    for number in range(16):
        assert broker.call("mobyfs", "VolumeDriver.Create", {"Name": f"vol{number}"}).status == 200

    def client(number):
        connection = unix_http.Connection(broker.published("mobyfs"), timeout=30)
        for _ in range(100):
            answer = unix_http.send(connection, "POST", "/VolumeDriver.Get", {"Name": f"vol{number}"})
            assert answer.json()["Volume"]["Name"] == f"vol{number}"
        connection.close()

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(client, number) for number in range(16)]:
            future.result()


def test_a_changed_definition_is_used_from_the_next_call_on(active, mobyfs):
    broker, plugin = active()
    connection = unix_http.Connection(broker.published("mobyfs"))
    assert unix_http.send(connection, "POST", "/VolumeDriver.Create", {"Name": "first"}).status == 200
    other = mobyfs(name="other")
    broker.define("mobyfs", other.url)
    wait_until(lambda: broker.plugin("mobyfs")["Endpoint"] == other.url, "new endpoint")
    broker.wait_state("mobyfs", "active")
    assert unix_http.send(connection, "POST", "/VolumeDriver.Create", {"Name": "second"}).status == 200
    connection.close()
    assert (plugin.root / "first").is_dir() and (other.root / "second").is_dir()


def test_a_plugin_that_is_removed_takes_its_sockets_along(active):
    broker, _plugin = active()
    events = broker.events()
    (broker.specs[0] / "mobyfs.spec").unlink()
    events.wait_for("mobyfs", "gone")
    assert not broker.published("mobyfs").exists()
    assert not broker.engine_socket("mobyfs").exists()


def test_plugins_do_not_see_each_others_calls(broker, mobyfs):
    plugins = {f"plugin{number}": mobyfs(name=f"plugin{number}") for number in range(4)}
    broker = broker(threads=2)
    for name, plugin in plugins.items():
        broker.define(name, plugin.url)
    broker.start()
    for name in plugins:
        broker.wait_state(name, "active")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(broker.call, name, "VolumeDriver.Create", {"Name": f"{name}-{turn}"}) for turn in range(50) for name in plugins]
        assert {future.result().status for future in futures} == {200}
    for name, plugin in plugins.items():
        assert {json.loads(call["Body"])["Name"] for call in plugin.calls("VolumeDriver.Create")} == {f"{name}-{turn}" for turn in range(50)}
