"""Registries as an operator meets them: logins, mirrors, proxies, plain HTTP. pluginctl and brokerd together."""

import base64
import crypt
import json
import os
import pathlib
import random

import pytest
from authority import Authority
from forwarding_proxy import Proxy
from harness import unix_http
from harness.managed import assert_verified, blobs, install, inspect, succeed
from harness.plugin_images import make_plugin
from harness.registry import Registry
from harness.served_image import ServedImage, layer
from lying_registry import LyingRegistry, encoded, problem
from token_service import TokenService

USER, PASSWORD = "user", "correct-horse-battery"
WRONG = "wrong-donkey-staple"
DOCKER = "registry-1.docker.io"
DATA = random.Random(7).randbytes(50_000)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def login(directory):
    """login(config) writes Docker's config.json; returns the environment that makes pluginctl read it."""
    def write(config):
        (directory / "docker").mkdir(exist_ok=True)
        (directory / "docker" / "config.json").write_text(json.dumps(config))
        return {"DOCKER_CONFIG": str(directory / "docker"), "PATH": f"{directory}:{os.environ['PATH']}"}
    return write


def auths(host, password):
    return {"auths": {host: {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}}}


def with_helper(directory, host, password):
    """A credential helper that knows this host and no other."""
    helper = directory / "docker-credential-test"
    helper.write_text(f"#!/bin/sh\nread -r server\n[ \"$1 $server\" = 'get {host}' ] || "
                      "{ echo credentials not found in native keychain; exit 1; }\n"
                      f"echo '{json.dumps({'ServerURL': host, 'Username': USER, 'Secret': password})}'\n")
    helper.chmod(0o755)
    return {"credHelpers": {host: "test"}}


@pytest.fixture
def basic(directory, closing):
    users = directory / "users"
    users.write_text(f"{USER}:" + crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)) + "\n")
    return closing.add(Registry(directory, f"auth:\n  htpasswd:\n    realm: here\n    path: {users}\n"))


@pytest.fixture
def tokens(directory, closing):
    service = TokenService(directory, [f"{USER}:{PASSWORD}"])
    closing.add(service.server)
    return closing.add(Registry(directory, service.registry_lines()))


def shows_no_secret(broker, *results):
    texts = [broker.process.output(), broker.get("/broker/v1/doctor").body.decode()]
    texts += [text for result in results for text in (result.stdout, result.stderr)]
    for secret in (PASSWORD, WRONG):
        for form in (secret, base64.b64encode(f"{USER}:{secret}".encode()).decode(), encoded(username=USER, password=secret)):
            assert all(form not in text for text in texts)


@pytest.mark.parametrize("kind", ["basic", "tokens"])
@pytest.mark.parametrize("source", ["auths", "helper"])
def test_a_login_is_used(request, started, directory, login, kind, source):
    registry = request.getfixturevalue(kind)
    made = auths(registry.host, PASSWORD) if source == "auths" else with_helper(directory, registry.host, PASSWORD)
    environment = login(made)
    name = f"{registry.host}/acme/private"
    for tag in "12":
        succeed(started.pluginctl("create", f"{name}:{tag}", make_plugin(directory / tag, files={"etc/v": tag.encode()})))
        succeed(started.pluginctl("push", f"{name}:{tag}", environment=environment))
        succeed(started.pluginctl("rm", f"{name}:{tag}"))
    assert blobs(started) == set()
    succeed(install(started, f"{name}:1", "--alias", "private", environment=environment))
    done = started.pluginctl("upgrade", "--grant-all-permissions", "--skip-remote-check", "private", f"{name}:2",
                             environment=environment)
    succeed(done)
    plugin = inspect(started, "private")
    assert plugin["PluginReference"] == f"{name}:2"
    assert (started.state / "plugins" / plugin["Id"] / "rootfs/etc/v").read_bytes() == b"2"
    assert_verified(started)
    shows_no_secret(started, done)


@pytest.mark.parametrize("kind", ["basic", "tokens"])
def test_a_wrong_password_and_none(request, started, directory, login, kind):
    registry = request.getfixturevalue(kind)
    name = f"{registry.host}/acme/private"
    events = started.events()
    succeed(started.pluginctl("create", name, make_plugin(directory / "p")))
    for config, words in ((auths(registry.host, WRONG), ("wrong user name or password", "incorrect username or password")),
                          ({}, ("requires a login", "no such repository", "denied"))):
        refused = started.pluginctl("push", name, environment=login(config))
        assert refused.returncode == 1 and any(word in refused.stderr for word in words), refused
        assert len(refused.stderr.splitlines()) == 1 and name in refused.stderr, refused
        shows_no_secret(started, refused)
    succeed(started.pluginctl("push", name, environment=login(auths(registry.host, PASSWORD))))
    succeed(started.pluginctl("rm", name))

    refused = install(started, name, environment=login(auths(registry.host, WRONG)))
    assert refused.returncode == 1 and "user name or password" in refused.stderr.replace("username", "user name"), refused
    header = {"X-Registry-Auth": encoded(username=USER, password=WRONG)}
    for call in ("GET /plugins/privileges", "POST /plugins/pull"):
        method, path = call.split()
        reply = unix_http.request(started.control, method, f"{path}?remote={name}", headers=header, timeout=60)
        assert reply.status == 401 and "user name or password" in reply.error.replace("username", "user name"), (call, reply)
        assert WRONG not in reply.error
    anonymous = install(started, name, environment=login({}))
    if kind == "basic":
        assert anonymous.returncode == 1 and "requires a login" in anonymous.stderr, anonymous
        assert started.get(f"/plugins/privileges?remote={name}").status == 401
    else:
        succeed(anonymous)  # anybody may pull there
        succeed(started.pluginctl("rm", name))
    assert started.plugins() == {} and blobs(started) == set()
    assert_verified(started)
    shows_no_secret(started, refused, anonymous)
    started.pluginctl("create", "acme/last", directory / "p")
    events.wait_for("acme/last:latest", "installed")
    assert PASSWORD not in json.dumps(events.seen) and WRONG not in json.dumps(events.seen)


def test_credentials_for_another_registry_are_not_sent(started, directory, login, closing):
    registry = closing.add(LyingRegistry())
    image = ServedImage(registry, "acme/p", [layer({"etc/data": DATA})])
    registry.answers[image.manifest_path] = problem(401, "UNAUTHORIZED", "login", WWW_Authenticate='Basic realm="x"')
    refused = install(started, image.name, environment=login(auths("127.0.0.1:1", PASSWORD)))
    assert refused.returncode == 1 and "requires a login" in refused.stderr, refused
    assert all(request.field("Authorization") is None for request in registry.requests)


@pytest.fixture
def names():
    """names("a"): from now on this name, too, resolves to an address of ours, in the tests' own /etc."""
    hosts = pathlib.Path("/etc/hosts")
    before = hosts.read_bytes()

    def resolve(name, address="127.0.0.2"):
        with hosts.open("a", encoding="ascii") as file:
            file.write(f"{address} {name}\n")
    yield resolve
    hosts.write_bytes(before)


@pytest.fixture
def secure(directory, closing, names):
    """secure(NAME): a registry with TLS for NAME on port 443; the daemon trusts it by `secure.flags`."""
    (directory / "ca").mkdir()
    authority = Authority(directory / "ca")

    def make(name, **options):
        names(name)
        trusted = directory / "certs" / name
        trusted.mkdir(parents=True)
        (trusted / "ca.crt").write_bytes(authority.certificate.read_bytes())
        return closing.add(LyingRegistry(certificate=authority.issue(name), **{"address": "127.0.0.2", "port": 443, **options}))
    make.flags = ["--registry-certs", directory / "certs"]
    return make


def test_mirrors_of_docker(broker, closing, secure):
    hub, mirror, down = secure(DOCKER), closing.add(LyingRegistry()), LyingRegistry()
    down.close()
    layers = [layer({"etc/data": DATA})]
    at_hub = ServedImage(hub, "acme/mirrored", layers)
    at_mirror = ServedImage(mirror, "acme/mirrored", layers)
    started = broker(extra=[*secure.flags, "--registry-mirror", f"http://{down.host}", "--registry-mirror",
                            f"http://{mirror.host}"]).start()

    said = succeed(install(started, "acme/mirrored"))
    assert down.host in said and inspect(started, "acme/mirrored")["PluginReference"] == "docker.io/acme/mirrored:latest"
    assert hub.requests == [] and mirror.to(at_mirror.blob_path(layers[0]))
    succeed(started.pluginctl("rm", "acme/mirrored"))

    # A mirror that has the manifest and lies about a layer: the registry itself has the last word.
    at_mirror.lie(layers[0], problem(500, "X", "broken"))
    succeed(install(started, "acme/mirrored"))
    assert hub.to(at_hub.blob_path(layers[0]))
    succeed(started.pluginctl("rm", "acme/mirrored"))
    mirror.close()
    succeed(install(started, "acme/mirrored"))
    assert hub.to(at_hub.manifest_path)
    assert_verified(started)


def test_proxies(broker, closing, secure):
    """HTTPS through a tunnel; a name in NO_PROXY directly."""
    registry = secure("plugins.test")
    image = ServedImage(registry, "acme/p", [layer({"etc/data": DATA})])
    name = "plugins.test/acme/p"
    proxy = closing.add(Proxy(registry.host))
    started = broker(extra=secure.flags, environment={"HTTPS_PROXY": f"http://me:s3cret@{proxy.host}"}).start()
    succeed(install(started, name))
    assert proxy.heads and all(head.startswith("CONNECT plugins.test:443 ") for head in proxy.heads)
    assert registry.to(image.manifest_path) and "s3cret" not in started.process.output()
    succeed(started.pluginctl("rm", name))
    started.stop()

    proxy.heads.clear()
    started.environment["NO_PROXY"] = "other.test,plugins.test"
    started.start()
    succeed(install(started, name))
    assert proxy.heads == []
    started.stop()

    proxy.close()
    started.environment["NO_PROXY"] = ""
    started.start()
    refused = install(started, name, "--alias", "other", timeout=120)
    assert refused.returncode == 1 and "proxy" in refused.stderr and "s3cret" not in refused.stderr, refused
    assert "s3cret" not in started.process.output()
    assert_verified(started)


def test_plain_http_needs_a_flag(broker, directory, closing, names):
    """Loopback by its address needs none; by a name it does, although the name resolves to it."""
    registry = closing.add(Registry(directory))
    names("plain.test", address="127.0.0.1")
    name, host = f"{registry.host}/acme/p", f"plain.test:{registry.port}"
    started = broker().start()
    succeed(started.pluginctl("create", name, make_plugin(directory / "p")))
    succeed(started.pluginctl("push", name))
    succeed(started.pluginctl("rm", name))
    refused = install(started, f"{host}/acme/p")
    assert refused.returncode == 1 and "--insecure-registry" in refused.stderr, refused
    assert started.plugins() == {}
    succeed(install(started, name))
    started.stop()

    proxy = closing.add(Proxy(registry.host))
    started.extra = ["--insecure-registry", host]
    started.environment["HTTP_PROXY"] = f"http://{proxy.host}"
    started.start()
    succeed(install(started, f"{host}/acme/p"))
    assert any(head.startswith(f"GET http://{host}/v2/") for head in proxy.heads)
    assert_verified(started)
