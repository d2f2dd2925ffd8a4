"""daemon/control/openapi.yaml describes what brokerd answers: each call, its statuses, and the fields of its bodies."""

import itertools
import json
import pathlib
import re

import pytest
from harness import unix_http
from harness.plugins import free_port

yaml = pytest.importorskip("yaml", reason="needs python3-yaml")

CONTROL = pathlib.Path(__file__).resolve().parents[2] / "daemon" / "control"
DOCUMENT = yaml.safe_load((CONTROL / "openapi.yaml").read_text(encoding="utf-8"))
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def resolve(node):
    while "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def mismatches(value, schema, where="body"):
    """What in `value` the schema does not describe. Members that the schema does not name are mismatches, too."""
    schema = resolve(schema)
    if "type" in schema and (not isinstance(value, TYPES[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool))):
        return [f"{where} is not of type {schema['type']}: {value!r}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where} is none of {schema['enum']}: {value!r}")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{where}.{name} is missing" for name in schema.get("required", []) if name not in value]
        found += [f"{where}.{name} is not described" for name in value if name not in properties]
        found += itertools.chain.from_iterable(
            mismatches(value[name], properties[name], f"{where}.{name}") for name in value if name in properties)
    if isinstance(value, list):
        found += itertools.chain.from_iterable(mismatches(item, schema["items"], f"{where}[{i}]") for i, item in enumerate(value))
    return found


def check(reply, method, path):
    """The reply is one that the document has for this call."""
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    described = responses.get(str(reply.status)) or responses.get("default")
    assert described, f"{method} {path} answered {reply.status}, which is not described: {reply}"
    kind = reply.headers["Content-Type"].partition(";")[0]
    content = resolve(described)["content"]
    schema = (content.get(kind) or content.get("*/*"))["schema"]
    body = json.loads(reply.body) if kind == "application/json" else reply.body.decode()
    assert not mismatches(body, schema), reply
    return reply.status


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
    def ask(method, path, status, name="", query="", rpc="", body=None):
        target = path.replace("{name}", name).replace("{method}", rpc) + query
        reply = unix_http.request(busy.control, method, target, body)
        assert check(reply, method, path) == status, f"{method} {target}: {reply}"

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
    ask("GET", "/version", 200)
    assert "Api-Version" in unix_http.request(busy.control, "HEAD", "/_ping").headers


def test_events_are_as_described(busy):
    schema = DOCUMENT["paths"]["/broker/v1/events"]["get"]["responses"]["200"]["content"]["application/x-ndjson"]["schema"]
    history = busy.events("replay=1000")
    history.wait_for("absent", "failed")  # which takes longer than all the others
    assert history.seen
    for event in history.seen:
        assert not mismatches(event, schema), event


def test_methods_that_are_not_described_get_405(busy):
    for path, calls in DOCUMENT["paths"].items():
        target = path.replace("{name}", "vieux/mobyfs").replace("{method}", "VolumeDriver.List")
        for method in ("PUT", "DELETE", "PATCH"):
            assert method.lower() not in calls
            reply = unix_http.request(busy.control, method, target)
            assert reply.status == 405, (method, target, reply)
            assert reply.headers["Allow"]
            assert reply.error
