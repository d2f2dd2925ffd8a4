"""The part of Docker's Engine API that is not plugins, but that docker and the SDKs ask for: ping, version, info, and a clear refusal
of everything that is an engine's. As a real dockerd answers, and with the docker commands of yesterday and today.
"""

import json
import os
import socket

import pytest
from harness import unix_http
from harness.managed import succeed

# -- ping and versions ------------------------------------------------------------------------------------------------


def test_ping_has_the_headers_that_dockerd_has(started, shared_dockerd):
    for method in ("GET", "HEAD"):
        ours, theirs = (unix_http.request(path, method, "/_ping") for path in (started.control, shared_dockerd.socket))
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


def test_versions_and_unknown_paths_are_answered_as_by_dockerd(started, shared_dockerd):
    for path in PATHS:
        ours, theirs = (unix_http.request(place, "GET", path) for place in (started.control, shared_dockerd.socket))
        assert ours.status == theirs.status, (path, ours, theirs)
        if ours.status == 200:
            continue
        # To clients before 1.24 dockerd says it in plain text. The limits are each one's own.
        said = theirs.body.decode().strip() if theirs.headers["Content-Type"].startswith("text/plain") else theirs.error
        assert ours.error == said.replace("is 1.12", "is 1.24").replace("is 1.41", "is 1.50"), path
    for method, path in METHODS:
        statuses = [unix_http.request(place, method, path).status for place in (started.control, shared_dockerd.socket)]
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


def test_info_has_the_members_of_dockerd_s(started, shared_dockerd):
    ours, theirs = (unix_http.request(path, "GET", "/v1.41/info").json() for path in (started.control, shared_dockerd.socket))
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
        words = ["brokerd serves plugins only"]
        # With BuildKit docker begins a session and a build at once, and tells the first refusal; of the session's only the status.
        # Today it has a plugin for it, which may not be there.
        if kit == "1":
            words += ["unable to upgrade to h2c, received 501", "buildx"]
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
