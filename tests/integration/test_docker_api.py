"""The part of Docker's Engine API that is not plugins, but that docker and the SDKs ask for: ping, version, info, events, and a
clear refusal of everything that is an engine's. As a real dockerd answers, and with the docker commands of yesterday and today.
"""

import contextlib
import json
import os
import socket
import subprocess
import time

import pytest
from harness import unix_http
from harness.managed import succeed
from harness.newest_docker_cli import Unavailable, newest_docker_cli
from harness.plugin_images import make_plugin
from harness.running import make_sample
from harness.waiting import wait_until

NAME = "acme/volumes"


def debian():
    return "/usr/bin/docker"


def newest():
    try:
        return str(newest_docker_cli())
    except Unavailable as reason:
        pytest.skip(str(reason))


class Docker:
    """A docker command line that speaks to the socket at `path`."""

    def __init__(self, program, path, config):
        self.program = program
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{path}", "DOCKER_CONFIG": str(config), "HOME": str(config)}

    def __call__(self, *arguments, stdin=subprocess.DEVNULL, timeout=60, **environment):
        return subprocess.run([self.program, *map(str, arguments)], stdin=stdin, capture_output=True, text=True, timeout=timeout,
                              env={**self.environment, **environment})

    def watch(self, *arguments):
        return subprocess.Popen([self.program, "events", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                env=self.environment)


@pytest.fixture(params=[debian, newest], ids=["debian", "newest"])
def program(request):
    return request.param()


@pytest.fixture
def docker(program, directory):
    return lambda path: Docker(program, path, directory / "client")


# -- ping and versions ------------------------------------------------------------------------------------------------


def test_ping_has_the_headers_that_dockerd_has(started, bare_dockerd):
    for method in ("GET", "HEAD"):
        ours, theirs = (unix_http.request(path, method, "/_ping") for path in (started.control, bare_dockerd.socket))
        assert (ours.status, ours.body) == (theirs.status, theirs.body)
        missing = {name.lower() for name in theirs.headers} - {name.lower() for name in ours.headers}
        assert missing <= {"builder-version"}, missing  # brokerd builds nothing
        for name in ("Content-Type", "Cache-Control", "Pragma", "Docker-Experimental", "OSType"):
            assert ours.headers[name] == theirs.headers[name]


PATHS = ["/v1.10/version", "/v1.9999/version", "/v1/version", "/v./plugins", "/v3/events", "/v1.x/version", "/v1.41", "/v1.41/", "/nothing",
         "/v1.41/nothing", "/v01.41/version", "/v1.41.0/version", "/plugins/", "/_ping/"]
#: Where the path is right, and the method is not.
METHODS = [("HEAD", "/version"), ("HEAD", "/v1.41/plugins"), ("HEAD", "/events"), ("POST", "/version"), ("POST", "/_ping"), ("DELETE", "/plugins"),
           ("GET", "/plugins/pull"), ("PUT", "/plugins/x/json"), ("GET", "/plugins/x")]


def test_versions_and_unknown_paths_are_answered_as_by_dockerd(started, bare_dockerd):
    for path in PATHS:
        ours, theirs = (unix_http.request(place, "GET", path) for place in (started.control, bare_dockerd.socket))
        assert ours.status == theirs.status, (path, ours, theirs)
        if ours.status == 200:
            continue
        # To clients before 1.24 dockerd says it in plain text. The limits are each one's own.
        said = theirs.body.decode().strip() if theirs.headers["Content-Type"].startswith("text/plain") else theirs.error
        assert ours.error == said.replace("is 1.12", "is 1.24").replace("is 1.41", "is 1.50"), path
    for method, path in METHODS:
        statuses = [unix_http.request(place, method, path).status for place in (started.control, bare_dockerd.socket)]
        assert statuses == [404, 404], (method, path)


def test_every_version_of_the_api_is_spoken(started):
    for version in ("", *(f"/v1.{minor}" for minor in range(24, 51))):
        for path in ("/_ping", "/version", "/info", "/plugins", "/events?until=1"):
            assert started.get(version + path).status == 200, (version, path)


def test_docker_version_has_a_section_for_brokerd(started, docker):
    docker = docker(started.control)
    said = succeed(docker("version")).split("Server: ")[1].splitlines()
    assert said[0] == "brokerd"
    assert said[1] == " Engine:"
    version = started.get("/version").json()
    assert version["KernelVersion"] == os.uname().release
    facts = {name.strip(): value.strip() for name, value in (line.split(":", 1) for line in said[2:] if line.strip())}
    assert facts == {"Version": version["Version"], "API version": "1.50 (minimum version 1.24)", "Go version": "", "Git commit": "",
                     "Built": "", "OS/Arch": f"linux/{version['Arch']}", "Experimental": "false"}
    assert succeed(docker("version", "--format", "{{.Server.Version}}")) == version["Version"] + "\n"
    assert json.loads(succeed(docker("version", "--format", "{{json .Server}}")))["ApiVersion"] == "1.50"


# -- info -------------------------------------------------------------------------------------------------------------


def test_info_tells_plugins_and_host_as_docker_prints_them(broker, mobyfs, docker):
    broker = broker(extra=["--insecure-registry", "registry.example:5000"])
    broker.define("files", mobyfs(name="files", implements="VolumeDriver,authz").url)
    broker.define("net", mobyfs(name="net", implements="NetworkDriver").url)
    broker.start()
    for name in ("files", "net"):
        broker.wait_state(name, "active")
    docker = docker(broker.control)
    info = docker("info")
    assert info.returncode == 0, info
    said = info.stdout.split("\nServer:\n")[1]
    host = os.uname()
    for line in (" Containers: 0", "  Volume: files", "  Network: net", "  Authorization: files", " Swarm: inactive",
                 f" Kernel Version: {host.release}", f" Architecture: {host.machine}", f" Name: {host.nodename}",
                 f" CPUs: {len(os.sched_getaffinity(0))}", f" Docker Root Dir: {broker.state}", "  registry.example:5000",
                 " Live Restore Enabled: true", " Default Runtime: runc"):
        assert line in said.splitlines(), said
    assert "ERROR" not in info.stdout
    assert info.stderr.strip().splitlines() == broker.get("/info").json()["Warnings"]

    plugins = {"Volume": ["files"], "Network": ["net"], "Authorization": ["files"], "Log": []}
    assert json.loads(succeed(docker("system", "info", "--format", "{{json .Plugins}}"))) == plugins
    whole = json.loads(succeed(docker("info", "--format", "{{json .}}")))
    assert whole["Plugins"] == plugins
    assert not whole.get("ServerErrors")


def test_info_has_the_members_of_dockerd_s(started, bare_dockerd):
    ours, theirs = (unix_http.request(path, "GET", "/v1.41/info").json() for path in (started.control, bare_dockerd.socket))
    for host in ("NCPU", "MemTotal", "KernelVersion", "OperatingSystem", "OSVersion", "OSType", "Architecture", "Name"):
        assert ours[host] == theirs[host], host
    of_engines = {"BridgeNfIptables", "BridgeNfIp6tables", "KernelMemory", "KernelMemoryTCP", "GenericResources", "CgroupVersion"}
    assert set(theirs) - set(ours) <= of_engines
    assert set(theirs["RegistryConfig"]) - set(ours["RegistryConfig"]) <= {
        "AllowNondistributableArtifactsCIDRs", "AllowNondistributableArtifactsHostnames"}


# -- what is an engine's ----------------------------------------------------------------------------------------------


COMMANDS = [["ps"], ["run", "busybox"], ["images"], ["volume", "ls"], ["network", "ls"], ["system", "df"], ["pull", "busybox"],
            ["exec", "x", "true"], ["swarm", "init"], ["node", "ls"], ["service", "ls"], ["secret", "ls"], ["config", "ls"],
            ["login", "-u", "me", "-p", "secret", "127.0.0.1:1"], ["system", "prune", "-f"], ["rmi", "x"], ["logs", "x"], ["cp", "x:/a", "-"],
            ["search", "x"], ["load"], ["import", "-"], ["commit", "x"]]


def test_commands_for_an_engine_are_told_where_to_go(started, docker):
    docker = docker(started.control)
    for command in COMMANDS:
        said = docker(*command)
        assert said.returncode != 0, command
        assert "brokerd serves plugins only" in said.stderr, (command, said)
        assert "unset DOCKER_HOST" in said.stderr


@pytest.mark.parametrize("kit", ["0", "1"])
def test_docker_build_is_told_the_same(started, docker, directory, kit):
    context = directory / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY data /\n")
    (context / "data").write_bytes(os.urandom(20_000_000))
    docker = docker(started.control)
    for arguments in (["-"], [context]):
        with open(context / "Dockerfile", "rb") as file:
            said = docker("build", *arguments, stdin=file, DOCKER_BUILDKIT=kit)
        assert said.returncode != 0
        # Of BuildKit's session, docker tells the status only; today it has a plugin for it, which may not be there.
        words = ("brokerd serves plugins only",) if kit == "0" else ("unable to upgrade to h2c, received 501", "buildx")
        assert any(word in said.stderr for word in words), said


def test_a_refusal_waits_for_nothing(started):
    for path in ("/build", "/v1.41/images/load", "/session", "/grpc", "/containers/x/attach"):
        for head in ("Content-Length: 1000000000\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\nExpect: 100-continue\r\n",
                     "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(started.control))
                client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
                assert client.recv(12) == b"HTTP/1.1 501"
    assert unix_http.request(started.control, "HEAD", "/containers/json").status == 501
    assert started.post("/build", b"x" * 5_000_000).status == 501


# -- events -----------------------------------------------------------------------------------------------------------


def tar_of(plugin):
    return subprocess.run(["tar", "-C", plugin, "-c", "config.json", "rootfs"], check=True, capture_output=True).stdout


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


def test_events_are_those_of_dockerd(started, registry, directory, dockerd):
    engine = dockerd()
    plugins = [make_sample(directory / name, config={"description": name}) for name in ("one", "two")]
    told = []
    for path in (engine.socket, started.control):
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


def test_events_are_filtered_as_by_dockerd(told, bare_dockerd, directory):
    for name in ("a", "b"):  # of the same content, dockerd takes one
        tar = tar_of(make_plugin(directory / f"other-{name}", {"description": name}, {"data/name": name.encode()}))
        reply = unix_http.request(bare_dockerd.socket, "POST", f"/plugins/create?name={NAME}-{name}", tar)
        assert reply.status == 204, reply
    assert unix_http.request(bare_dockerd.socket, "DELETE", f"/plugins/{NAME}-a").status == 200
    for text, count in FILTERS:
        for path in (told.control, bare_dockerd.socket):
            events = events_of(path, f"since=1&until={time.time():.9f}&filters={unix_http.quote(text)}")
            assert len(events) == count, (path, text, events)
    for path in (told.control, bare_dockerd.socket):
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
