"""What a broker answers, held against daemon/control/openapi.yaml."""

import concurrent.futures
import itertools
import json
import pathlib

import yaml

from . import unix_http

CONTROL = pathlib.Path(__file__).resolve().parents[3] / "daemon" / "control"
DOCUMENT = yaml.safe_load((CONTROL / "openapi.yaml").read_text(encoding="utf-8"))
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def resolve(node):
    while "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def merged(schema):
    """The schema with those of its allOf in it; what stands beside allOf says more of the same members."""
    if "allOf" not in schema:
        return schema
    whole = {"properties": {}}
    for part in [*map(resolve, schema["allOf"]), schema]:
        whole = {**whole, **part, "properties": {**whole["properties"], **part.get("properties", {})}}
    return whole


def mismatches(value, schema, where="body"):
    """What in `value` the schema does not describe. Members that the schema does not name are mismatches, too."""
    schema = merged(resolve(schema))
    if value is None and schema.get("nullable"):
        return []
    if "type" in schema and (not isinstance(value, TYPES[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool))):
        return [f"{where} is not of type {schema['type']}: {value!r}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where} is none of {schema['enum']}: {value!r}")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{where}.{name} is missing" for name in schema.get("required", []) if name not in value]
        if not schema.get("additionalProperties"):
            found += [f"{where}.{name} is not described" for name in value if name not in properties]
        found += itertools.chain.from_iterable(
            mismatches(value[name], properties[name], f"{where}.{name}") for name in value if name in properties)
    if isinstance(value, list):
        found += itertools.chain.from_iterable(mismatches(item, schema["items"], f"{where}[{i}]") for i, item in enumerate(value))
    return found


#: What has been held against the document, by all tests of this process: (method, path, status as it is written there).
seen = set()


def described():
    """Everything that the document has, in the same form."""
    return {(method.upper(), path, status) for path, calls in DOCUMENT["paths"].items() for method, call in calls.items()
            if method != "parameters" for status in call["responses"]}


EVENT = resolve({"$ref": "#/components/schemas/Event"})


def check(reply, method, path):
    """The reply is one that the document has for this call."""
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    status = str(reply.status) if str(reply.status) in responses else "default"
    assert status in responses, f"{method} {path} answered {reply.status}, which is not described: {reply}"
    check_content(reply, resolve(responses[status]).get("content"), method)
    missing = [name for name in resolve(responses[status]).get("headers", {}) if name not in reply.headers]
    assert not missing, (missing, reply)
    seen.add((method, path, status))
    return reply.status


def check_content(reply, content, method):
    if content is None or method == "HEAD":
        assert not reply.body, reply
        return
    kind = reply.headers["Content-Type"].partition(";")[0]
    form = content.get(kind) or content["*/*"]
    if form["schema"].get("format") == "binary":
        assert reply.body, reply
        return
    if form.get("x-json-lines") or kind == "application/x-ndjson":
        values = [json.loads(line) for line in reply.body.splitlines()]
    else:
        values = [json.loads(reply.body) if kind == "application/json" else reply.body.decode()]
    for value in values:
        assert not mismatches(value, form["schema"]), (mismatches(value, form["schema"]), reply)


class Asker:
    """Asks a running broker, and holds its answers against the document."""

    def __init__(self, broker):
        self.broker = broker

    def __call__(self, method, path, status, name="", query="", rpc="", body=None):
        target = path.replace("{name}", name).replace("{method}", rpc) + query
        reply = unix_http.request(self.broker.control, method, target, body, timeout=60)
        assert check(reply, method, path) == status, f"{method} {target}: {reply}"
        return reply

    def at_once(self, *questions):
        """Asks several at the same time, where each takes its time. A question: the arguments, by name."""
        with concurrent.futures.ThreadPoolExecutor(len(questions)) as pool:
            for asked in [pool.submit(self, **question) for question in questions]:
                asked.result()

    def watch(self, method, path, name="", query=""):
        """The same for an answer without end: its first line is held against the document. Returns the connection."""
        connection = unix_http.Connection(self.broker.control, timeout=30)
        try:
            connection.request(method, path.replace("{name}", name) + query)
            response = connection.getresponse()
            reply = unix_http.Reply(response.status, response.headers, response.readline())
            assert check(reply, method, path) == 200, reply
            assert reply.body
            connection.response = response  # closing it would close the connection
            return connection
        except BaseException:
            connection.close()
            raise
