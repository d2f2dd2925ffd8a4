"""As test_openapi.py, for what concerns managed plugins: Docker's calls, and ours beside them."""

import json
import pathlib

import pytest
from harness.openapi import EVENT, Asker, mismatches
from harness.plugin_images import make_plugin, tar_of
from harness.registry import Registry
from harness.waiting import wait_until
from lying_registry import LyingRegistry, problem


def last_line(reply):
    return json.loads(reply.body.splitlines()[-1])


@pytest.fixture
def installed(broker, directory, closing):
    """A broker with a plugin of every member that a config can have, an empty registry, and the questions to ask it."""
    registry = closing.add(Registry(directory))
    broker = broker().start()
    name = f"{registry.host}/acme/volumes:1.0"
    plugin = make_plugin(directory / "plugin", {
        "network": {"type": "host"}, "ipchost": True, "pidhost": True, "propagatedMount": "/mnt",
        "mounts": [{"name": "data", "description": "", "type": "bind", "options": ["rbind"], "source": "/srv",
                    "destination": "/mnt/data", "settable": ["source"]}],
        "args": {"name": "args", "description": "", "settable": ["value"], "value": ["-v"]},
        "linux": {"capabilities": ["CAP_SYS_ADMIN"], "allowAllDevices": True,
                  "devices": [{"name": "fuse", "description": "", "path": "/dev/fuse", "settable": ["path"]}]}})
    ask = Asker(broker)
    ask("POST", "/plugins/create", 204, query=f"?name={name}", body=tar_of(plugin))
    ask("POST", "/plugins/{name}/push", 200, name)
    return ask, registry, name, plugin


def test_docker_calls_are_as_described(installed):
    ask, registry, name, plugin = installed
    auth = "?remote=" + name
    ask("POST", "/plugins/create", 409, query=f"?name={name}", body=tar_of(plugin))
    ask("POST", "/plugins/create", 400, query="?name=Not/A/Name", body=tar_of(plugin))
    ask("POST", "/plugins/create", 400, query="?name=acme/other", body=b"no tar")
    for query in ("", '?filters={"enabled":["false"],"capability":["volumedriver"]}'):
        assert len(ask("GET", "/plugins", 200, query=query).json()) == 1
    assert ask("GET", "/plugins", 200, query='?filters={"enabled":{"true":true}}').json() == []
    ask("GET", "/plugins", 400, query='?filters={"colour":["red"]}')
    ask("GET", "/plugins/{name}/json", 404, "nobody")
    whole = ask("GET", "/plugins/{name}/json", 200, name).json()
    assert ask("GET", "/plugins/{name}/json", 200, whole["Id"][:12]).json() == whole

    ask("POST", "/plugins/{name}/set", 204, name, body=["DEBUG=1", "data.source=/opt"])
    ask("POST", "/plugins/{name}/set", 400, name, body=["NOTHING=1"])
    ask("POST", "/plugins/{name}/set", 400, name, body={"DEBUG": 1})
    ask("POST", "/plugins/{name}/set", 404, "nobody", body=["DEBUG=1"])
    limits = {"Memory": 64 << 20, "NanoCpus": 500_000_000, "Pids": 100}
    ask("POST", "/broker/v1/plugins/{name}/limits", 204, name, body={**limits, "Settings": ["DEBUG=2"]})
    ask("POST", "/broker/v1/plugins/{name}/limits", 204, name, body={"Pids": 0})
    ask("POST", "/broker/v1/plugins/{name}/limits", 400, name, body={"Memory": 1})
    ask("POST", "/broker/v1/plugins/{name}/limits", 400, name, body={**limits, "Settings": ["NOTHING=1"]})
    ask("POST", "/broker/v1/plugins/{name}/limits", 404, "nobody", body=limits)
    del limits["Pids"]
    assert ask("GET", "/broker/v1/plugins/{name}/json", 200, name).json()["Limits"] == limits
    ask("POST", "/plugins/{name}/enable", 500, name)  # there is nothing in it that could run
    ask("POST", "/plugins/{name}/enable", 400, name, query="?timeout=x")
    ask("POST", "/plugins/{name}/enable", 404, "nobody")
    ask("POST", "/plugins/{name}/disable", 409, name)
    ask("POST", "/plugins/{name}/disable", 404, "nobody")
    ask("POST", "/plugins/{name}/push", 404, "nobody")
    ask("DELETE", "/plugins/{name}", 404, "nobody")

    granted = ask("GET", "/plugins/privileges", 200, query=auth).json()
    assert len(granted) == 7
    ask("GET", "/plugins/privileges", 400, query="?remote=Not/A/Name")
    ask("GET", "/plugins/privileges", 404, query=f"?remote={registry.host}/acme/nothing")
    access = ask("GET", "/broker/v1/privileges", 200, query=auth).json()
    assert access["Privileges"] == granted and access["Undisclosed"]
    ask("GET", "/broker/v1/privileges", 400, query="?remote=Not/A/Name")
    ask("GET", "/broker/v1/privileges", 404, query=f"?remote={registry.host}/acme/nothing")
    ask("POST", "/plugins/pull", 400, query=auth, body=[1])
    ask("POST", "/plugins/{name}/upgrade", 404, "nobody", query=auth, body=granted)
    ask("POST", "/plugins/{name}/upgrade", 200, name, query=auth, body=granted)
    assert ask("DELETE", "/plugins/{name}", 200, name).json()["Name"] == name
    ask("POST", "/plugins/pull", 403, query=auth, body=granted[1:])
    for _ in range(2):  # the second one has nothing to do
        assert ask("POST", "/plugins/pull", 200, query=auth, body=granted).headers["Docker-Plugin-Name"] == name


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_refuses_is_told_as_described(installed, closing, status):
    ask, _, name, _ = installed
    refusing = closing.add(LyingRegistry())
    path = "/v2/acme/volumes/manifests/latest"
    refusing.answers[path] = problem(status, "DENIED", "not you", **({"WWW_Authenticate": "Basic realm=x"} if status == 401 else {}))
    remote = f"?remote={refusing.host}/acme/volumes"
    ask("GET", "/plugins/privileges", status, query=remote)
    ask("GET", "/broker/v1/privileges", status, query=remote)
    ask("POST", "/plugins/pull", status, query=remote, body=[])
    ask("POST", "/plugins/{name}/upgrade", status, name, query=remote, body=[])


def test_our_own_calls_for_managed_plugins_are_as_described(installed, tmp_path):
    ask, _, name, _ = installed
    plugins, plugin = "/broker/v1/plugins", "/broker/v1/plugins/{name}"
    assert [view["Enabled"] for view in ask("GET", plugins, 200, query="?kind=managed&state=disabled").json()["Plugins"]] == [False]
    ask("GET", plugin + "/json", 200, name)
    ask("GET", plugin, 503, name)
    ask("POST", plugin + "/activate", 503, name)
    ask("POST", plugin + "/rpc/{method}", 503, name, rpc="VolumeDriver.List", body={})
    granted = ask("GET", plugin + "/privileges", 200, name).json()["Privileges"]
    ask("GET", plugin + "/privileges", 404, "nobody")
    archive = ask("GET", plugin + "/save", 200, name).body
    ask("GET", plugin + "/save", 404, "nobody")

    staged = last_line(ask("POST", plugins + "/load", 200, body=archive))["aux"]
    assert staged["Reference"].endswith("acme/volumes:1.0") and staged["Privileges"] == granted
    assert last_line(ask("POST", plugins + "/load", 200, body=b"no archive"))["error"]  # the work has begun by then
    install = {"Privileges": staged["Privileges"], "Settings": staged["Settings"]}
    digest = "?digest=" + staged["Digest"]
    ask("POST", plugins + "/install", 400, query="?digest=sha256:1&name=acme/again", body=install)
    ask("POST", plugins + "/install", 400, query=digest + "&name=acme/again", body=[])
    ask("POST", plugins + "/install", 403, query=digest + "&name=acme/again", body={})
    ask("POST", plugins + "/install", 404, query=f"?digest=sha256:{'0' * 64}&name=acme/again", body=install)
    assert ask("POST", plugins + "/install", 201, query=digest + "&name=acme/again", body=install).json()["Name"] == "acme/again:latest"

    (tmp_path / "plugins").mkdir()
    ask("POST", plugins + "/import", 200, body={"Path": str(tmp_path / "plugins")})
    for path in ("relative", str(tmp_path / "nothing")):
        ask("POST", plugins + "/import", 400, body={"Path": path})
    ask("POST", "/broker/v1/prune", 200)


def test_a_broken_plugin_is_found_as_described(installed):
    ask, _, name, _ = installed
    directory = pathlib.Path(ask("GET", "/broker/v1/plugins/{name}/json", 200, name).json()["Definition"])
    (directory / "rootfs").rename(directory.parent.parent / "elsewhere")
    ask.broker.reload()
    wait_until(ask.broker.findings, "what doctor finds", 10)
    assert [finding["Problem"] for finding in ask("GET", "/broker/v1/doctor", 200).json()["Findings"]] == ["broken"]


def test_events_of_managed_plugins_are_as_described(installed):
    ask, _, name, _ = installed
    ask("POST", "/plugins/{name}/set", 204, name, body=["DEBUG=1"])
    ask("DELETE", "/plugins/{name}", 200, name)
    history = ask.broker.events("replay=1000")
    history.wait_for(name, "removed")
    assert [event["Action"] for event in history.seen] == ["installed", "set", "removed"]
    for event in history.seen:
        assert not mismatches(event, EVENT), event
