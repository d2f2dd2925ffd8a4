"""GET /events: what is done to plugins, told by brokerd as by a real dockerd, and shown by docker's commands."""

import concurrent.futures
import contextlib
import json
import socket
import time

import pytest
from harness import unix_http
from harness.managed import succeed
from harness.plugin_images import make_plugin, tar_of
from harness.running import make_sample
from harness.waiting import wait_until

NAME = "acme/volumes"


def events_of(path, query):
    reply = unix_http.request(path, "GET", f"/v1.41/events?{query}")
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == "application/json"
    return [json.loads(line) for line in reply.body.splitlines()]


def do_everything(path, registry, plugin, plugin2):
    """Every operation on a plugin, by the calls that docker makes, those that fail included; `path` is the engine's socket."""
    def call(method, target, status, body=None):
        reply = unix_http.request(path, method, "/v1.41" + target, body, timeout=60)
        assert reply.status in status, (method, target, reply)
        return reply

    def pull(target):
        privileges = call("GET", "/plugins/privileges?" + target.partition("?")[2], [200]).json()
        reply = call("POST", target, [200], privileges or [])
        assert b'"error"' not in reply.body, (privileges, reply)

    name = f"{registry.host}/{NAME}"
    call("POST", f"/plugins/create?name={name}", [204], tar_of(plugin))
    with contextlib.suppress(BrokenPipeError):  # dockerd reads no further than it must
        call("POST", f"/plugins/create?name={name}", [409, 400], tar_of(plugin))
    call("POST", f"/plugins/{name}/set", [204], ["VOLUMES=/data"])
    call("POST", f"/plugins/{name}/push", [200])
    plugin_id = call("GET", f"/plugins/{name}/json", [200]).json()["Id"]
    call("POST", f"/plugins/{name}:latest/enable?timeout=30", [200])
    call("POST", f"/plugins/{name}/enable?timeout=30", [409, 500])
    call("DELETE", f"/plugins/{name}", [409])
    call("POST", f"/plugins/{plugin_id[:12]}/disable", [200])
    call("DELETE", f"/plugins/{plugin_id}", [200])
    call("POST", f"/plugins/create?name={name}:2", [204], tar_of(plugin2))
    call("POST", f"/plugins/{name}:2/push", [200])
    call("DELETE", f"/plugins/{name}:2", [200])
    pull(f"/plugins/pull?remote={name}")
    call("DELETE", f"/plugins/{name}:latest?force=true", [200])
    pull(f"/plugins/pull?remote={name}&name=mine")
    pull(f"/plugins/mine/upgrade?remote={name}:2")
    call("DELETE", "/plugins/mine?force=1", [200])
    call("DELETE", "/plugins/nobody", [404])


def test_events_are_those_of_dockerd(started, registry, directory, shared_dockerd):
    plugins = [make_sample(directory / name, config={"description": name}) for name in ("one", "two")]
    told = []
    for path in (shared_dockerd.socket, started.control):
        since = time.time()
        do_everything(path, registry, *plugins)
        events = events_of(path, f"since={since:.9f}&until={time.time():.9f}&filters=" + unix_http.quote('{"type":{"plugin":true}}'))
        for event in events:
            assert since <= event["timeNano"] / 1e9 <= time.time()
            assert event["time"] == event["timeNano"] // 1_000_000_000
        told.append(events)
        started.pluginctl("rm", "--force", f"{registry.host}/{NAME}")

    def shape(event):
        # IDs of plugins are random, of pulls they are images.
        actor = event["Actor"]["ID"] if event["Action"] == "pull" else len(event["Actor"]["ID"])
        name = event["Actor"]["Attributes"]["name"]
        ids = {len(name)} if len(name) in (12, 64) and all(digit in "0123456789abcdef" for digit in name) else name
        return sorted(event), event["Type"], event["Action"], event["scope"], actor, ids

    assert [shape(event) for event in told[1]] == [shape(event) for event in told[0]]
    assert [event["Action"] for event in told[1]] == ["create", "enable", "disable", "remove", "create", "remove", "pull", "remove",
                                                      "pull", "pull", "remove"]


@pytest.fixture
def told(started, directory):
    """A broker in which a plugin was created, and then removed."""
    for name in ("a", "b"):
        reply = started.post(f"/plugins/create?name={NAME}-{name}", tar_of(make_plugin(directory / name)))
        assert reply.status == 204, reply
    assert unix_http.request(started.control, "DELETE", f"/plugins/{NAME}-a").status == 200
    return started


FILTERS = [
    ('{}', 3), ('{"type":["plugin"]}', 3), ('{"type":{"plugin":true}}', 3), ('{"type":{"container":true}}', 0), ('{"event":["create"]}', 2),
    ('{"event":{"create":true,"remove":true}}', 3), ('{"event":["crea"]}', 0), ('{"plugin":["acme/volumes-a"]}', 2),
    ('{"plugin":["acme/"]}', 3), ('{"plugin":["volumes"]}', 0), ('{"scope":["local"]}', 3), ('{"scope":["swarm"]}', 0),
    ('{"container":["x"]}', 0), ('{"image":["x"]}', 0), ('{"label":["x"]}', 0), ('{"label":["name"]}', 3), ('{"network":["acme"]}', 3),
    ('{"colour":["red"]}', 3), ('{"event":["exec_create","cr"]}', 2), ('{"plugin":["acme/volumes-a"],"event":["remove"]}', 1)]


def test_events_are_filtered_as_by_dockerd(told, shared_dockerd, directory):
    since = {told.control: 1, shared_dockerd.socket: f"{time.time():.9f}"}
    for name in ("a", "b"):  # of the same content, dockerd takes one
        tar = tar_of(make_plugin(directory / f"other-{name}", {"description": name}, {"data/name": name.encode()}))
        reply = unix_http.request(shared_dockerd.socket, "POST", f"/plugins/create?name={NAME}-{name}", tar)
        assert reply.status == 204, reply
    assert unix_http.request(shared_dockerd.socket, "DELETE", f"/plugins/{NAME}-a").status == 200
    for text, count in FILTERS:
        for path in since:
            events = events_of(path, f"since={since[path]}&until={time.time():.9f}&filters={unix_http.quote(text)}")
            assert len(events) == count, (path, text, events)
    for path in since:
        assert events_of(path, f"until={time.time():.9f}")  # "until" alone starts with the oldest
        assert events_of(path, "until=1") == []
        reply = unix_http.request(path, "GET", "/events?since=2&until=1")
        assert (reply.status, reply.error) == (400, "`since` time (2) cannot be after `until` time (1)")


def test_docker_events_shows_the_past_and_what_comes(told, docker, directory):
    docker = docker(told.control)
    past = succeed(docker("events", "--since", "1h", "--until", f"{time.time():.9f}")).splitlines()
    assert [line.split()[1:3] for line in past] == [["plugin", "create"], ["plugin", "create"], ["plugin", "remove"]]
    assert past[2].endswith(f"(name={NAME}-a)")
    with docker.watch("--since", "1h", "--filter", "type=plugin", "--filter", "event=remove", "--format", "{{json .}}") as watch:
        try:
            assert json.loads(watch.stdout.readline())["Actor"]["Attributes"] == {"name": f"{NAME}-a"}
            succeed(docker("plugin", "rm", f"{NAME}-b"))
            event = json.loads(watch.stdout.readline())
            assert (event["Type"], event["Action"], event["Actor"]["Attributes"]["name"]) == ("plugin", "remove", f"{NAME}-b")
        finally:
            watch.terminate()


def test_a_watch_ends_when_it_is_to(told):
    reply = unix_http.request(told.control, "GET", f"/events?until={time.time() + 0.5:.9f}", timeout=30)
    assert len(reply.body.splitlines()) == 3


def test_a_watcher_that_reads_nothing_costs_nobody_anything(told, directory):
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.connect(str(told.control))
        stuck.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = told.post(f"/plugins/create?name={NAME}-c", tar_of(make_plugin(directory / "c")))
        assert reply.status == 204
        wait_until(lambda: len(events_of(told.control, f"until={time.time():.9f}")) == 4, "the event", 10)


def test_whoever_has_an_answer_finds_the_event(started, directory):
    tar = tar_of(make_plugin(directory / "plugin"))

    def work(name):
        mine = unix_http.quote(json.dumps({"plugin": [name]}))
        for rounds in range(1, 6):
            assert started.post(f"/plugins/create?name={name}", tar, timeout=60).status == 204
            assert unix_http.request(started.control, "DELETE", f"/plugins/{name}", timeout=60).status == 200
            events = events_of(started.control, f"until={time.time():.9f}&filters={mine}")
            assert [event["Action"] for event in events] == ["create", "remove"] * rounds

    names = [f"p{number}" for number in range(10, 30)]  # none begins as another
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(work, names))
    assert len(events_of(started.control, f"until={time.time():.9f}")) == 200
