"""Against Debian's docker-registry: push and pull, with no login, Basic, and tokens that it verifies itself."""

import crypt
import hashlib
import json
import os
import secrets
import subprocess

import pytest

from harness.registry import Registry
from lying_registry import MANIFEST, digest_of, encoded
from token_service import TokenService


@pytest.fixture
def registry(directory):
    server = Registry(directory)
    yield server
    server.close()


@pytest.fixture
def image(directory):
    """Files to push: config, two layers of which one takes two chunks, and their manifest."""
    contents = [b'{"interface":{"types":["docker.volumedriver/1.0"]}}', os.urandom(1_000_000),
                os.urandom(1_000_000) * 100]
    files = [directory / f"blob{i}" for i in range(3)]
    for file, content in zip(files, contents):
        file.write_bytes(content)
    config, *layers = [{"digest": digest_of(content), "size": len(content)} for content in contents]
    manifest = directory / "manifest.json"
    manifest.write_text(json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.docker.plugin.v1+json", **config},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **layer} for layer in layers]}))
    return [MANIFEST, manifest, *files]


def round_trip(drive, host, image, **options):
    pushed = drive("push", f"{host}/some/plugin:1", *image, **options)
    assert pushed.ok, pushed.last
    assert len(pushed.of("uploaded")) == 3 and pushed.of("retrying") == []
    pulled = drive("pull", f"{host}/some/plugin:1", **options)
    assert pulled.ok, pulled.last
    assert pulled.last["digest"] == pushed.last["digest"] == digest_of(image[1].read_bytes())
    assert len(pulled.of("verified")) == 2 and pulled.of("retrying") == []
    for name in os.listdir(drive.store / "sha256"):
        content = (drive.store / "sha256" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == name
        assert content in [file.read_bytes() for file in image[2:]]
    assert len(os.listdir(drive.store / "sha256")) == 2
    return pulled


def test_push_and_pull(drive, registry, image):
    pulled = round_trip(drive, registry.host, image)
    raw = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/some/plugin:1"],
                         capture_output=True, check=True).stdout if os.path.exists("/usr/bin/skopeo") else None
    assert raw in (None, image[1].read_bytes())
    again = drive("push", f"{registry.host}/some/plugin:2", *image)
    assert again.ok and len(again.of("exists")) == 3
    assert drive("manifest", f"{registry.host}/some/plugin@{pulled.last['digest']}").ok


def test_what_is_not_there(drive, registry, image):
    assert drive("manifest", f"{registry.host}/some/plugin:1").kind == "not_found"
    digest = digest_of(b"x")
    assert drive("has", f"{registry.host}/some/plugin", digest).last == {"ok": "yes", "number": 0}
    outcome = drive("blob", f"{registry.host}/some/plugin", digest, 1)
    assert outcome.kind == "not_found" and outcome.of("pause") == []


def test_a_blob_of_another_repository_is_mounted(drive, registry, image):
    assert drive("push", f"{registry.host}/some/plugin:1", *image).ok
    digest = digest_of(image[3].read_bytes())
    assert drive("has", f"{registry.host}/other/plugin", digest).last["number"] == 0
    assert drive("mount", f"{registry.host}/other/plugin", digest, "some/plugin").last == {"ok": "yes", "number": 1}
    assert drive("has", f"{registry.host}/other/plugin", digest).last["number"] == 1
    assert drive("mount", f"{registry.host}/other/plugin", digest_of(b"x"), "some/plugin").last["number"] == 0


def test_a_manifest_whose_blobs_are_missing_is_refused(drive, registry, image):
    outcome = drive("push", f"{registry.host}/some/plugin:1", *image[:2])
    assert not outcome.ok and "blob unknown" in outcome.message


def test_basic(drive, directory, image):
    users = directory / "users"
    password = secrets.token_hex(8)
    users.write_text("user:" + crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)) + "\n")
    server = Registry(directory, f"auth:\n  htpasswd:\n    realm: here\n    path: {users}\n")
    try:
        round_trip(drive, server.host, image, auth=encoded(username="user", password=password))
        refused = drive("manifest", f"{server.host}/some/plugin:1", auth=encoded(username="user", password="wrong"))
        assert refused.kind == "unauthorized" and "wrong user name or password" in refused.message
        assert "requires a login" in drive("manifest", f"{server.host}/some/plugin:1").message
    finally:
        server.close()


@pytest.fixture
def tokens(directory):
    service = TokenService(directory, ["user:right"])
    yield service
    service.server.close()


@pytest.mark.parametrize("classes", [True, False])
def test_tokens(drive, directory, image, tokens, classes):
    tokens.classes = classes
    server = Registry(directory, tokens.registry_lines())
    try:
        right = encoded(username="user", password="right")
        round_trip(drive, server.host, image, auth=right)
        kind = "repository(plugin)" if classes else "repository"
        assert [f"{kind}:some/plugin:pull,push"] in tokens.scopes and [f"{kind}:some/plugin:pull"] in tokens.scopes
        assert len(tokens.scopes) == (2 if classes else 4)  # one token per job

        assert drive("manifest", f"{server.host}/some/plugin:1").ok  # anybody may pull here
        denied = drive("push", f"{server.host}/some/plugin:2", *image)
        assert denied.kind in ("unauthorized", "denied")
        wrong = drive("manifest", f"{server.host}/some/plugin:1", auth=encoded(username="user", password="wrong"))
        assert wrong.kind == "unauthorized" and "incorrect username or password" in wrong.message
        mounted = drive("mount", f"{server.host}/other/plugin", digest_of(image[3].read_bytes()), "some/plugin",
                        auth=right)
        assert mounted.last == {"ok": "yes", "number": 1}
        assert [f"{kind}:other/plugin:pull,push", f"{kind}:some/plugin:pull"] in tokens.scopes
    finally:
        server.close()
