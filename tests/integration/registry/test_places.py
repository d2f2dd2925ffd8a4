"""Where the client goes: TLS with private authorities, plain HTTP where it may, proxies, mirrors."""

import base64
import os
import random

import pytest

from authority import Authority
from forwarding_proxy import Proxy
from lying_registry import MANIFEST, LyingRegistry, content, digest_of, encoded, problem, raw, redirect, whole

PATH = "/v2/some/plugin/manifests/latest"
GOOD = whole(200, b"{}", Content_Type=MANIFEST)
DOCKER = "registry-1.docker.io"


@pytest.fixture
def authority(directory):
    (directory / "ca").mkdir()
    return Authority(directory / "ca")


@pytest.fixture
def certs(directory, authority):
    """A certificate directory that trusts the authority for these hosts."""
    def make(*hosts):
        for host in hosts:
            (directory / "certs" / host).mkdir(parents=True)
            (directory / "certs" / host / "ca.crt").write_bytes(authority.certificate.read_bytes())
        return directory / "certs"
    return make


@pytest.fixture
def secure(authority):
    """secure(NAME): a registry with TLS for this name."""
    opened = []

    def make(name, **options):
        opened.append(LyingRegistry(certificate=authority.issue(name), **options))
        opened[-1].answers[PATH] = GOOD
        return opened[-1]
    yield make
    for registry in opened:
        registry.close()


def test_tls_with_a_private_authority(drive, secure, certs):
    registry = secure("plugins.test")
    outcome = drive("manifest", "plugins.test/some/plugin", certs=certs("plugins.test"),
                    address=f"plugins.test:443={registry.host}")
    assert outcome.ok and outcome.last["source"] == "plugins.test"


def test_tls_with_a_port(drive, secure, certs):
    registry = secure("plugins.test")
    outcome = drive("manifest", "plugins.test:5000/some/plugin", certs=certs("plugins.test:5000"),
                    address=f"plugins.test:5000={registry.host}")
    assert outcome.ok


def test_tls_whose_authority_nobody_trusts(drive, secure, certs):
    registry = secure("plugins.test")
    outcome = drive("manifest", "plugins.test/some/plugin", certs=certs("other.test"),
                    address=f"plugins.test:443={registry.host}", auth=encoded(username="user", password="x"))
    assert outcome.kind == "invalid" and "certificate" in outcome.message and registry.requests == []
    assert outcome.of("pause") == []


@pytest.mark.parametrize("file", ["ca.crt", "client.cert", "client.key"])
@pytest.mark.parametrize("kind", ["fifo", "giant"])
def test_certificate_files_that_are_no_files(drive, secure, certs, authority, file, kind):
    """Nobody opens the other end of the FIFO."""
    registry = secure("plugins.test")
    place = certs("plugins.test") / "plugins.test"
    pem = authority.issue("client.test").read_bytes()
    for name in ("client.cert", "client.key"):
        (place / name).write_bytes(pem)
    (place / file).unlink()
    if kind == "fifo":
        os.mkfifo(place / file)
    else:
        with open(place / file, "wb") as giant:
            giant.truncate(1 << 40)
    outcome = drive("manifest", "plugins.test/some/plugin", certs=place.parent, address=f"plugins.test:443={registry.host}")
    assert outcome.kind == "io" and str(place / file) in outcome.message and registry.requests == []
    assert ("regular file" if kind == "fifo" else "more than") in outcome.message


def test_tls_for_another_name(drive, secure, certs):
    registry = secure("other.test")
    outcome = drive("manifest", "plugins.test/some/plugin", certs=certs("plugins.test"),
                    address=f"plugins.test:443={registry.host}")
    assert outcome.kind == "invalid" and "mismatch" in outcome.message and registry.requests == []


def test_an_insecure_registry_with_a_certificate_of_its_own(drive, secure):
    registry = secure("other.test")
    outcome = drive("manifest", "plugins.test/some/plugin", insecure="plugins.test",
                    address=f"plugins.test:443={registry.host}")
    assert outcome.ok
    assert drive("manifest", f"{registry.host}/some/plugin").ok  # loopback


def test_a_client_certificate(drive, secure, certs, authority):
    registry = secure("plugins.test", client_authority=authority.certificate)
    where = {"certs": certs("plugins.test"), "address": f"plugins.test:443={registry.host}"}
    assert not drive("manifest", "plugins.test/some/plugin", attempts=1, **where).ok
    pem = authority.issue("me", "clientAuth").read_text()
    for name in ("client.cert", "client.key"):
        (where["certs"] / "plugins.test" / name).write_text(pem)
    assert drive("manifest", "plugins.test/some/plugin", **where).ok
    (where["certs"] / "plugins.test" / "client.key").write_text("nonsense")
    outcome = drive("manifest", "plugins.test/some/plugin", **where)
    assert outcome.kind == "io" and "client.key" in outcome.message


def test_a_secure_registry_is_never_asked_without_tls(drive, lying):
    lying.answers[PATH] = GOOD
    outcome = drive("manifest", "plugins.test/some/plugin", attempts=1,
                    address=[f"plugins.test:443={lying.host}", f"plugins.test:80={lying.host}"])
    assert not outcome.ok and lying.requests == []


def test_an_insecure_registry_falls_back_to_http(drive, lying):
    lying.answers[PATH] = GOOD
    for options in ({"address": f"plugins.test:5000={lying.host}", "insecure": "plugins.test:5000"},
                    {"address": f"10.9.8.7:5000={lying.host}", "insecure": "10.0.0.0/8"}):
        name = options["address"].partition("=")[0]
        assert drive("manifest", f"{name}/some/plugin", **options).ok
        assert lying.requests[-1].field("Host") == name
    outcome = drive("manifest", "plugins.test:5001/some/plugin", attempts=1, insecure="plugins.test:5000",
                    address=f"plugins.test:5001={lying.host}")
    assert not outcome.ok


def test_https_to_http_is_refused(drive, secure, certs, lying):
    registry = secure("plugins.test")
    registry.answers[PATH] = redirect(f"http://{lying.host}{PATH}")
    lying.answers[PATH] = GOOD
    outcome = drive("manifest", "plugins.test/some/plugin", certs=certs("plugins.test"),
                    address=f"plugins.test:443={registry.host}")
    assert outcome.kind == "invalid" and "from https to http" in outcome.message and lying.requests == []


def test_no_password_for_a_token_service_without_tls(drive, secure, certs, lying):
    registry = secure("plugins.test")
    registry.answers[PATH] = whole(401, WWW_Authenticate=f'Bearer realm="http://{lying.host}/token"')
    outcome = drive("manifest", "plugins.test/some/plugin", certs=certs("plugins.test"),
                    address=f"plugins.test:443={registry.host}", auth=encoded(username="user", password="x"))
    assert outcome.kind == "invalid" and "https" in outcome.message and lying.requests == []


def test_a_tls_stream_that_is_cut_off_is_resumed(drive, secure, certs):
    blob = random.Random(1).randbytes(300_000)
    registry = secure("plugins.test")
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"
    registry.answers[f"/v2/some/plugin/blobs/{digest_of(blob)}"] = [raw(start + blob[:100_000]), content(blob)]
    outcome = drive("blob", "plugins.test/some/plugin", digest_of(blob), len(blob), certs=certs("plugins.test"),
                    address=f"plugins.test:443={registry.host}")
    assert outcome.ok and outcome.of("retrying")[0]["number"] == 100_000


def test_a_proxy_for_https(drive, secure, certs):
    registry = secure("plugins.test")
    proxy = Proxy(registry.host)
    outcome = drive("manifest", "plugins.test/some/plugin", certs=certs("plugins.test"),
                    environment={"HTTPS_PROXY": f"http://me:p%40ss@{proxy.host}"})
    assert outcome.ok
    assert proxy.heads[0].startswith("CONNECT plugins.test:443 HTTP/1.1\r\nHost: plugins.test:443\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:p@ss').decode()}\r\n" in proxy.heads[0]
    assert all(request.field("Proxy-Authorization") is None for request in registry.requests)
    proxy.close()


def test_a_proxy_for_http(drive, lying):
    lying.answers[PATH] = GOOD
    proxy = Proxy(lying.host)
    outcome = drive("manifest", "plugins.test:5000/some/plugin", insecure="plugins.test:5000",
                    address=f"plugins.test:5000={lying.host}", environment={"http_proxy": proxy.host})
    assert outcome.ok
    assert proxy.heads[0].startswith(f"GET http://plugins.test:5000{PATH} HTTP/1.1\r\nHost: plugins.test:5000\r\n")
    proxy.close()


def test_a_proxy_that_refuses(drive, secure):
    registry = secure("plugins.test")
    for answer in (b"HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"):
        proxy = Proxy(registry.host, answer)
        outcome = drive("manifest", "plugins.test/some/plugin", environment={"HTTPS_PROXY": f"u:secret@{proxy.host}"})
        assert outcome.kind == "unreachable" and "proxy" in outcome.message and "secret" not in outcome.message
        proxy.close()


def test_hosts_that_no_proxy_serves(drive, lying, secure, certs):
    registry = secure("plugins.test")
    proxies = {"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "a, .test"}
    assert drive("manifest", "plugins.test/some/plugin", certs=certs("plugins.test"), environment=proxies,
                 address=f"plugins.test:443={registry.host}").ok
    lying.answers[PATH] = GOOD
    assert drive("manifest", f"{lying.host}/some/plugin", environment=proxies).ok


@pytest.fixture
def docker(drive, secure, certs):
    """docker(ARGUMENTS, mirror=…): with a registry of ours in the place of Docker's."""
    def run(*arguments, **options):
        return drive(*arguments, certs=run.certs, address=f"{DOCKER}:443={run.registry.host}", **options)
    run.registry, run.certs = secure(DOCKER), certs(DOCKER)
    return run


def test_dockers_own_registry(docker):
    assert docker("manifest", "some/plugin").last["source"] == DOCKER
    docker.registry.answers[PATH] = whole(401, WWW_Authenticate="Basic realm=x")
    for address in ("", "https://index.docker.io/v1/", "docker.io", DOCKER):
        docker("manifest", "some/plugin", auth=encoded(username="u", password="p", serveraddress=address))
        assert docker.registry.requests[-1].field("Authorization") == "Basic dTpw"


def test_a_mirror_comes_first_and_sees_no_password(docker, lying):
    lying.answers[PATH] = [whole(401, WWW_Authenticate="Basic realm=x"), GOOD]
    mine = encoded(username="u", password="p")
    outcome = docker("manifest", "some/plugin", mirror=f"http://{lying.host}", auth=mine)
    assert outcome.ok and outcome.last["source"] == DOCKER and lying.host in outcome.of("note")[0]["note"]
    outcome = docker("manifest", "some/plugin", mirror=f"http://{lying.host}", auth=mine)
    assert outcome.ok and outcome.last["source"] == lying.host
    assert all(request.field("Authorization") is None for request in lying.requests)


@pytest.mark.parametrize("bad", [problem(404, "MANIFEST_UNKNOWN", "x"), problem(500, "X", "x"), raw(b""), raw(b"nonsense"),
                                 whole(200, b"{}", Docker_Content_Digest=digest_of(b"[]"))])
def test_a_mirror_that_is_of_no_use(docker, lying, bad):
    lying.answers[PATH] = bad
    outcome = docker("manifest", "some/plugin", mirror=[f"http://{lying.host}/"])
    assert outcome.ok and outcome.last["source"] == DOCKER and len(outcome.of("note")) == 1
    assert outcome.of("pause") == [] and len(lying.requests) == 1


def test_a_mirror_that_is_down(docker, lying):
    lying.close()
    outcome = docker("manifest", "some/plugin", mirror=f"http://{lying.host}", repeat="yes")
    assert outcome.ok and len(outcome.of("note")) == 1  # the second manifest does not wait for it again


def test_a_mirror_that_breaks_or_lies_within_a_blob(docker, lying, drive):
    blob = random.Random(1).randbytes(300_000)
    path = f"/v2/some/plugin/blobs/{digest_of(blob)}"
    docker.registry.answers[path] = content(blob)
    for bad in (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + bytes(1000)), whole(200, bytes(300_000))):
        lying.answers[path] = bad
        outcome = docker("blob", "some/plugin", digest_of(blob), len(blob), mirror=f"http://{lying.host}")
        assert outcome.ok and len(outcome.of("note")) == 1
        assert docker.registry.to(path)[-1].field("Range") is None
        os.unlink(drive.store / "sha256" / digest_of(blob)[7:])


def test_other_registries_have_no_mirrors(drive, lying):
    other = LyingRegistry()
    lying.answers[PATH] = GOOD
    assert drive("manifest", f"{lying.host}/some/plugin", mirror=f"http://{other.host}").ok
    assert other.requests == []
    other.close()
