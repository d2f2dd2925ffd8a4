"""As test_openapi.py: the statuses of daemon/control/openapi.yaml that take some doing. Its last test wants that all of the document
was seen in this run."""

import contextlib
import json
import re
import socket

import pytest
from harness import unix_http
from harness.openapi import CONTROL, Asker, check, described, seen
from harness.plugin_images import make_plugin, tar_of
from harness.plugins import free_port
from harness.running import create_sample, enable_sample, make_sample
from harness.waiting import wait_until

NAME = "acme/volumes:1.0"
PLUGIN = "/broker/v1/plugins/{name}"
DIGEST = "sha256:" + "0" * 64

#: What no test here can bring about, and where it is shown instead.
ELSEWHERE = {
    ("GET", "/broker/v1/healthz", "503"): "the core would have to hang: tests/unit/control/plugins_test.cpp",
}

JOBS, STREAMS, FOLLOWERS = 128, 1024, 16  # HttpServer::Limits, PluginLogs::kMaxFollowers
#: Every long call, with as much of a query and a body as it takes to become one.
LONG_CALLS = [
    ("GET", PLUGIN + "/save", "", None), ("GET", PLUGIN + "/logs", "", None), ("POST", "/broker/v1/plugins/load", "", b"x"),
    ("POST", "/broker/v1/plugins/install", f"?digest={DIGEST}&name=a", {}), ("POST", "/broker/v1/plugins/import", "", {"Path": "/x"}),
    ("GET", "/broker/v1/privileges", "?remote=a", None), ("GET", "/plugins/privileges", "?remote=a", None),
    ("POST", "/plugins/pull", "?remote=a", []), ("POST", "/plugins/create", "?name=a", b"x"), ("POST", "/plugins/{name}/upgrade", "?remote=a", []),
    ("POST", "/plugins/{name}/push", "", None), ("POST", "/plugins/{name}/pull", "", None), ("POST", "/plugins/{name}/enable", "", None), ("POST", "/plugins/{name}/disable", "", None),
    ("DELETE", "/plugins/{name}", "", None)]


@pytest.fixture
def ask(broker):
    return Asker(broker().start())


def test_names_and_parameters_that_are_none(ask):
    for name in ("a//b", "%20"):
        ask("GET", PLUGIN + "/json", 400, name)
        ask("GET", PLUGIN, 400, name)
    ask("POST", PLUGIN + "/activate", 400, "x", "?timeout=soon")
    ask("POST", PLUGIN + "/lease", 400, "a//b")
    ask("GET", PLUGIN + "/logs", 400, "x", "?tail=few")
    ask("POST", "/plugins/{name}/upgrade", 400, "x", "?remote=Not/A/Name", body=[])
    ask("POST", "/plugins/pull", 400, query="?remote=Not/A/Name", body=[])


def test_an_id_that_several_begin_with(ask, directory):
    tar = tar_of(make_plugin(directory / "plugin"))
    for number in range(17):  # of so many, two begin with the same digit
        ask("POST", "/plugins/create", 204, query=f"?name=p{number}", body=tar)
    beginnings = [plugin["Id"][0] for plugin in ask("GET", "/plugins", 200).json()]
    several = next(digit for digit in beginnings if beginnings.count(digit) > 1)
    for method, path in (("GET", "/plugins/{name}/json"), ("GET", PLUGIN + "/privileges"), ("GET", PLUGIN + "/save"),
                         ("POST", "/plugins/{name}/push"), ("POST", "/plugins/{name}/pull"), ("POST", "/plugins/{name}/enable"), ("POST", "/plugins/{name}/disable"),
                         ("DELETE", "/plugins/{name}")):
        ask(method, path, 400, several)


def test_a_plugin_that_runs_is_in_the_way(ask, registry, mobyfs):
    broker = ask.broker
    create_sample(broker, NAME)
    ask("POST", "/plugins/{name}/enable", 200, NAME)
    broker.wait_state(NAME, "running")
    ask("POST", "/plugins/{name}/enable", 409, NAME)
    ask("POST", "/plugins/{name}/set", 409, NAME, body=["VOLUMES=/x"])
    ask("POST", PLUGIN + "/limits", 409, NAME, body={"Pids": 10})
    ask("POST", "/plugins/{name}/upgrade", 409, NAME, "?remote=" + registry.host + "/acme/volumes", body=[])
    ask("DELETE", "/plugins/{name}", 409, NAME)
    lease = ask.watch("POST", PLUGIN + "/lease", NAME)
    ask("POST", "/plugins/{name}/disable", 409, NAME)
    lease.close()
    wait_until(lambda: not broker.plugin(NAME)["Leases"], "end of the lease", 10)
    ask("POST", "/plugins/{name}/disable", 200, NAME)
    ask("POST", PLUGIN + "/lease", 409, NAME)
    ask("POST", PLUGIN + "/lease", 404, "nobody")

    ask("GET", PLUGIN + "/logs", 200, NAME)
    ask("GET", PLUGIN + "/logs", 404, "nobody")
    broker.define("mobyfs", mobyfs().url)
    broker.wait_state("mobyfs", "active")
    ask("GET", PLUGIN + "/logs", 409, "mobyfs")
    broker.published("mobyfs").unlink()
    ask("POST", PLUGIN + "/rpc/{method}", 502, "mobyfs", rpc="VolumeDriver.List", body={})


def test_names_that_are_taken_and_images_that_are_not_there(ask, registry, directory):
    name = f"{registry.host}/acme/volumes"
    for tag in ("1", "2"):
        plugin = make_sample(directory / tag, config={"description": tag})
        ask("POST", "/plugins/create", 204, query=f"?name={name}:{tag}", body=tar_of(plugin))
        ask("POST", "/plugins/{name}/push" if tag == "1" else "/plugins/{name}/pull", 200, f"{name}:{tag}")
    ask("POST", "/plugins/{name}/pull", 404, "nobody")
    ask("POST", "/plugins/pull", 409, query=f"?remote={name}:1&name={name}:2", body=[])
    ask("POST", "/plugins/pull", 404, query=f"?remote={name}:3", body=[])
    ask("POST", "/plugins/{name}/upgrade", 404, f"{name}:1", query=f"?remote={name}:3", body=[])
    nowhere = {"query": f"?remote=127.0.0.1:{free_port()}/acme/volumes", "status": 502}  # a registry is tried several times
    ask.at_once({"method": "POST", "path": "/plugins/pull", "body": [], **nowhere},
                {"method": "POST", "path": "/plugins/{name}/upgrade", "name": f"{name}:1", "body": [], **nowhere},
                {"method": "GET", "path": "/plugins/privileges", **nowhere}, {"method": "GET", "path": "/broker/v1/privileges", **nowhere})
    archive = ask("GET", PLUGIN + "/save", 200, f"{name}:1").body
    staged = json.loads(ask("POST", "/broker/v1/plugins/load", 200, body=archive).body.splitlines()[-1])["aux"]
    ask("POST", "/broker/v1/plugins/install", 409, query=f"?digest={staged['Digest']}&name={name}:2",
        body={"Privileges": staged["Privileges"], "Settings": []})


def test_settings_of_a_plugin_that_asks_for_more_than_it_was_granted(ask):
    broker = ask.broker
    create_sample(broker, NAME, config={"network": {"type": "host"}})
    broker.stop()
    inventory = broker.state / "plugins" / "plugins.json"
    kept = json.loads(inventory.read_text())
    plugin, = kept.values()
    assert plugin["brokerd"]["granted"]
    plugin["brokerd"]["granted"] = []
    inventory.write_text(json.dumps(kept))
    broker.start()
    ask("POST", "/plugins/{name}/set", 403, NAME, body=["VOLUMES=/x"])
    ask("POST", PLUGIN + "/limits", 403, NAME, body={"Pids": 10})


def test_what_is_about_managed_plugins_fails_without_a_state_root(broker):
    broker = broker()
    broker.state.write_text("")
    ask = Asker(broker.start())
    routes = re.findall(r'Route\{"([A-Z]+)", "([^"]+)",\s*\w+, Needs::state', (CONTROL / "routes.cpp").read_text(encoding="utf-8"))
    assert len(routes) >= 20
    for method, path in routes:
        assert "managed plugins are not available" in ask(method, path, 500, "x").error


def test_long_calls_beyond_the_limit(ask):
    """They wait for a registry that says nothing: those that wait for their own client would make room."""
    create_sample(ask.broker, "x")
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=JOBS))
        registry.settimeout(60)
        for number in range(JOBS):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(ask.broker.control))
            client.sendall(f"GET /plugins/privileges?remote=127.0.0.1:{registry.getsockname()[1]}/p{number} HTTP/1.1\r\n"
                           "Host: x\r\n\r\n".encode())
        for _ in range(JOBS):
            stack.enter_context(registry.accept()[0])
        for method, path, query, body in LONG_CALLS:
            ask(method, path, 503, "x", query, body=body)
        assert len(ask("GET", "/plugins", 200).json()) == 1  # nothing else is in the way


def test_followers_of_logs_beyond_the_limit(ask):
    enable_sample(ask.broker, NAME)
    follow = PLUGIN.replace("{name}", NAME) + "/logs?follow=1"
    following = []
    try:
        for _ in range(FOLLOWERS):
            connection = unix_http.Connection(ask.broker.control)
            following.append(connection)
            connection.request("GET", follow)
            connection.response = connection.getresponse()
            assert connection.response.status == 200
        ask("GET", PLUGIN + "/logs", 503, NAME, "?follow=1")
    finally:
        for connection in following:
            connection.close()
    ask("DELETE", "/plugins/{name}", 200, NAME, "?force=1")


def test_watchers_beyond_the_limit(many_descriptors, ask, mobyfs):
    ask.broker.define("mobyfs", mobyfs().url)
    ask.broker.wait_state("mobyfs", "active")
    watching = [ask.watch("GET", "/broker/v1/events", query="?replay=active"), ask.watch("POST", PLUGIN + "/lease", "mobyfs")]
    try:
        while len(watching) < STREAMS:
            client = socket.socket(socket.AF_UNIX)
            watching.append(client)
            client.connect(str(ask.broker.control))
            client.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        for method, path in (("GET", "/broker/v1/events"), ("GET", "/events"), ("POST", PLUGIN + "/lease")):
            ask(method, path, 503, "mobyfs")
        ask("GET", "/events", 200, query="?until=1")
    finally:
        for client in watching:
            client.close()
    wait_until(lambda: _can_watch(ask.broker), "room for watchers", 10)


def _can_watch(broker):
    connection = unix_http.Connection(broker.control)
    try:
        connection.request("GET", "/events")
        response = connection.getresponse()
        with response:
            return check(unix_http.Reply(response.status, response.headers, b"" if response.status == 200 else response.read()), "GET", "/events") == 200
    finally:
        connection.close()


def test_every_status_of_the_document_was_seen(request):
    modules = {item.module.__name__ for item in request.session.items}
    if not {"test_openapi", "test_openapi_managed"} <= modules or request.session.testsfailed or request.config.option.keyword:
        pytest.skip("this is about all of test_openapi*.py together")
    assert described() - seen == set(ELSEWHERE)
