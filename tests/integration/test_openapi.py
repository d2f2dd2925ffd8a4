"""daemon/control/openapi.yaml describes what brokerd answers: each call, its statuses, and the fields of its bodies."""

import re

import pytest
from harness import unix_http
from harness.openapi import CONTROL, DOCUMENT, EVENT, Asker, check, check_content, mismatches, resolve
from harness.plugins import free_port


def test_the_document_has_the_routes_and_no_others():
    text = (CONTROL / "routes.cpp").read_text(encoding="utf-8")
    routes = set(re.findall(r'Route\{"([A-Z]+)", "([^"]+)"', text))
    routes = {(method, path) for method, path in routes if not path.startswith("/v{api}")}
    described = {(method.upper(), path) for path, calls in DOCUMENT["paths"].items() for method in calls if method != "parameters"}
    assert routes == described


def test_the_document_refers_to_nothing_that_is_missing():
    for reference in re.findall(r'\$ref: "([^"]+)"', (CONTROL / "openapi.yaml").read_text(encoding="utf-8")):
        assert resolve({"$ref": reference})


@pytest.fixture
def busy(broker, mobyfs):
    """A broker with a plugin in every state that a test can hold."""
    broker = broker(timeout=1)
    broker.define("vieux/mobyfs", mobyfs().url)
    broker.define("absent", f"tcp://127.0.0.1:{free_port()}")
    broker.write("invalid.spec", "nonsense")
    broker.start()
    broker.wait_state("vieux/mobyfs", "active")
    broker.wait_state("absent", "failed")
    return broker


def test_answers_are_as_described(busy):
    ask = Asker(busy)
    plugins, plugin = "/broker/v1/plugins", "/broker/v1/plugins/{name}"
    ask("GET", plugins, 200)
    ask("GET", plugins, 200, query="?capability=VolumeDriver&kind=legacy&state=active")
    ask("GET", plugins, 400, query="?state=wrong")
    for name in ("vieux/mobyfs", "vieux%2Fmobyfs"):
        ask("GET", plugin, 200, name, "?capability=VolumeDriver&timeout=5")
    ask("GET", plugin, 409, "vieux/mobyfs", "?capability=NetworkDriver")
    ask("GET", plugin, 400, "vieux/mobyfs", "?timeout=soon")
    ask("GET", plugin, 404, "nobody")
    for name in ("absent", "invalid"):
        ask("GET", plugin, 503, name)
        ask("GET", plugin + "/json", 200, name)
        ask("POST", plugin + "/activate", 503, name, "?timeout=1")
    ask("GET", plugin + "/json", 200, "vieux/mobyfs")
    ask("GET", plugin + "/json", 404, "nobody")
    ask("POST", plugin + "/activate", 200, "vieux/mobyfs")
    ask("POST", plugin + "/activate", 404, "nobody")
    ask("POST", plugin + "/rpc/{method}", 200, "vieux/mobyfs", rpc="VolumeDriver.List", body={})
    ask("POST", plugin + "/rpc/{method}", 400, "vieux/mobyfs", rpc="VolumeDriver", body={})
    ask("POST", plugin + "/rpc/{method}", 404, "nobody", rpc="VolumeDriver.List", body={})
    ask("GET", "/broker/v1/events", 400, query="?replay=all")
    ask("GET", "/broker/v1/doctor", 200)
    ask("GET", "/broker/v1/metrics", 200)
    ask("GET", "/broker/v1/stats", 200)
    ask("GET", "/broker/v1/healthz", 200)
    ask("GET", "/_ping", 200)
    assert "Api-Version" in ask("HEAD", "/_ping", 200).headers
    for version in ("", "/v1.24", "/v1.50"):
        reply = unix_http.request(busy.control, "GET", version + "/version")
        assert check(reply, "GET", "/version") == 200
    assert ask("GET", "/info", 200).json()["Plugins"]["Volume"] == ["vieux/mobyfs"]
    ask("GET", "/events", 200, query="?until=1")
    ask("GET", "/events", 400, query="?since=2&until=1")


def test_what_is_an_engine_s_is_listed_and_refused_as_described(busy):
    beginnings = DOCUMENT["x-engine-only"]["paths"]
    table = re.search(r"kEngineOnly\{(.*?)\}", (CONTROL / "routes.cpp").read_text(encoding="utf-8"), re.DOTALL)[1]
    assert set(re.findall(r'"(\w+)"', table)) == set(beginnings)
    assert not {path.split("/")[1] for path in DOCUMENT["paths"]} & set(beginnings)
    answer = DOCUMENT["x-engine-only"]["responses"]["501"]["content"]
    for beginning in beginnings:
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
            for path in (f"/{beginning}", f"/v1.41/{beginning}/x/json"):
                reply = unix_http.request(busy.control, method, path)
                assert reply.status == 501, (method, path)
                check_content(reply, answer, method)


def test_events_are_as_described(busy):
    history = busy.events("replay=1000")
    history.wait_for("absent", "failed")  # which takes longer than all the others
    assert history.seen
    for event in history.seen:
        assert not mismatches(event, EVENT), event


def test_methods_that_are_not_described_are_refused(busy):
    for path, calls in DOCUMENT["paths"].items():
        target = path.replace("{name}", "vieux/mobyfs").replace("{method}", "VolumeDriver.List")
        for method in ("PUT", "DELETE", "PATCH"):
            if method == "DELETE" and path.startswith("/plugins/"):
                continue  # what follows may be the name of a plugin
            assert method.lower() not in calls
            reply = unix_http.request(busy.control, method, target)
            if path.startswith("/broker/"):
                assert reply.status == 405, (method, target, reply)
                assert reply.headers["Allow"]
                assert reply.error
            else:
                assert (reply.status, reply.error) == (404, "page not found"), (method, target, reply)
