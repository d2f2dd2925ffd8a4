"""Registries that lie or break off, and many operations at once: nothing unverified is kept, nobody's work is lost."""

import json
import os
import random
import signal
import subprocess
import threading

import pytest
from harness import unix_http
from harness.managed import assert_verified, blobs, inspect, install, leftovers, succeed
from harness.served_image import ServedImage, layer
from harness.waiting import wait_until
from lying_registry import (MANIFEST, LyingRegistry, content, cut, digest_of, endless, problem, raw, redirect, stall, whole)

DATA = random.Random(11).randbytes(300_000)
LAYERS = [layer({"etc/data": DATA}), layer({"etc/more": b"more"})]


@pytest.fixture
def registry(closing):
    return closing.add(LyingRegistry())


def flipped(blob):
    return blob[:1000] + bytes([blob[1000] ^ 1]) + blob[1001:]


BLOB = LAYERS[0]
LIES = {
    "other bytes": (whole(200, flipped(BLOB)), "digest"),
    "zeros": (whole(200, bytes(len(BLOB))), "digest"),
    "too short, and says so": (whole(200, BLOB[:-1]), str(len(BLOB) - 1)),
    "too long, and says so": (whole(200, BLOB + b"x"), str(len(BLOB) + 1)),
    "longer than announced": (raw(b"HTTP/1.1 200 OK\r\n\r\n" + BLOB + b"x"), "more than"),
    "endless": (endless, "more than"),
    "a coding": (whole(200, BLOB, Content_Encoding="gzip"), "gzip"),
    "lengths that differ": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"), "Content-Length"),
    "no HTTP": (raw(b"\0\1\2" * 1000), "HTTP"),
    "an endless head": (raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000), "fields"),
    "missing": (problem(404, "BLOB_UNKNOWN", "blob unknown"), "blob unknown"),
    "denied": (problem(403, "DENIED", "no"), "403"),
    "a redirect to a file": (redirect("file:///etc/passwd"), "Location"),
    "a redirect in a circle": ("circle", "redirects"),
    "a redirect to another blob": ("other", "digest"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_layer_that_is_a_lie(started, registry, lie):
    image = ServedImage(registry, "acme/p", LAYERS)
    answer, words = LIES[lie]
    if answer == "circle":
        answer = redirect(image.blob_path(BLOB))
    elif answer == "other":
        registry.answers["/elsewhere"] = whole(200, flipped(BLOB))
        answer = redirect("/elsewhere")
    image.lie(BLOB, answer)
    refused = install(started, image.name)
    assert refused.returncode == 1 and words in refused.stderr, refused
    assert len(refused.stderr) < 1500 and len(refused.stderr.splitlines()) == 1
    assert started.plugins() == {} and digest_of(BLOB)[7:] not in blobs(started)
    assert_verified(started)
    image.be_honest()
    installed_whole(started, image)


def installed_whole(started, image, alias=None):
    succeed(install(started, image.name, *(("--alias", alias) if alias else ())))
    plugin = inspect(started, alias or image.name)
    assert (started.state / "plugins" / plugin["Id"] / "rootfs/etc/data").read_bytes() == DATA
    assert_verified(started)


@pytest.mark.parametrize("what", ["manifest with another digest", "other manifest", "config", "config too large", "manifest too large",
                                  "size in the manifest", "no JSON", "layer that is no tar", "two readings"])
def test_a_manifest_or_config_that_is_a_lie(started, registry, what):
    layers = [b"this is no tar at all" * 100] if what == "layer that is no tar" else LAYERS
    image = ServedImage(registry, "acme/p", layers)
    manifest = json.loads(image.manifest)
    name = image.name
    if what == "manifest with another digest":
        registry.answers[image.manifest_path] = whole(200, image.manifest, Content_Type=MANIFEST,
                                                      Docker_Content_Digest=digest_of(b"x"))
    elif what == "other manifest":
        wanted = digest_of(b"what was asked for")
        registry.answers[f"/v2/acme/p/manifests/{wanted}"] = whole(200, image.manifest, Content_Type=MANIFEST)
        name = f"{registry.host}/acme/p@{wanted}"
    elif what == "config":
        image.lie(image.config, whole(200, image.config.replace(b"/bin/sample", b"/bin/simple")))
    elif what == "config too large":
        manifest["config"]["size"] = 100 << 20
    elif what == "manifest too large":
        registry.answers[image.manifest_path] = endless
    elif what == "size in the manifest":
        manifest["layers"][0]["size"] += 1
    elif what == "no JSON":
        registry.answers[image.manifest_path] = whole(200, b"{" * 100_000, Content_Type=MANIFEST)
    elif what == "two readings":
        registry.answers[image.manifest_path] = whole(200, image.manifest[:-1] + b',"Layers":[]}', Content_Type=MANIFEST)
    if manifest != json.loads(image.manifest):
        registry.answers[image.manifest_path] = whole(200, json.dumps(manifest).encode(), Content_Type=MANIFEST)
    refused = install(started, name)
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1 and len(refused.stderr) < 1500, refused
    assert started.plugins() == {}
    assert_verified(started)
    installed_whole(started, ServedImage(registry, "acme/p", LAYERS))


def test_what_breaks_off_is_resumed(started, registry):
    image = ServedImage(registry, "acme/p", LAYERS)
    image.lie(BLOB, [cut(BLOB, 100_000), cut(BLOB, 50_000), problem(429, "TOOMANYREQUESTS", "later", Retry_After="1"),
                     content(BLOB)])
    said = install(started, image.name)
    assert "Retrying" in succeed(said)
    assert [request.field("Range") for request in registry.to(image.blob_path(BLOB))] == [
        None, "bytes=100000-", "bytes=150000-", "bytes=150000-"]
    installed_whole(started, image)


@pytest.mark.long
def test_what_stalls_is_resumed(started, registry):
    """After the 30 seconds that the daemon waits for a byte."""
    image = ServedImage(registry, "acme/p", LAYERS)
    image.lie(BLOB, [stall(BLOB, 100_000), content(BLOB)])
    succeed(install(started, image.name, timeout=120))
    assert [request.field("Range") for request in registry.to(image.blob_path(BLOB))] == [None, "bytes=100000-"]
    installed_whole(started, image)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("where", ["manifest", "layer"])
def test_a_client_that_goes_away(started, registry, how, where):
    image = ServedImage(registry, "acme/p", LAYERS)
    if where == "layer":
        image.lie(BLOB, stall(BLOB, 100_000))
        waits_at = image.blob_path(BLOB)
    else:
        registry.answers[image.manifest_path] = [registry.answers[image.manifest_path], stall(image.manifest, 10)]
        waits_at = image.manifest_path
    client = subprocess.Popen(started.pluginctl_command("install", "--disable", "--grant-all-permissions", image.name),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(registry.to(waits_at)) >= (1 if where == "layer" else 2), "request that stalls")
    if where == "layer":
        wait_until(lambda: os.listdir(started.state / "blobs" / "tmp"), "temporary file")
    client.send_signal(how)
    client.wait(10)
    wait_until(lambda: leftovers(started) == [], lambda: f"empty state root: {leftovers(started)}")
    assert started.plugins() == {}
    image.be_honest()
    installed_name_is_free(started, image)


def installed_name_is_free(started, image):
    """The claim ends a moment after the files."""
    def tried():
        done = install(started, image.name)
        assert done.returncode == 0 or "another operation" in done.stderr, done
        return done.returncode == 0
    wait_until(tried, "free name")
    installed_whole(started, image)


def test_two_installs_of_one_name(started, registry):
    image = ServedImage(registry, "acme/p", LAYERS)
    held = threading.Event()

    def slow(request, connection):
        held.wait(30)
        return content(BLOB)(request, connection)
    image.lie(BLOB, slow)
    first = subprocess.Popen(started.pluginctl_command("install", "--disable", "--grant-all-permissions", image.name),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: registry.to(image.blob_path(BLOB)), "first install at its layer")
    second = install(started, image.name)
    assert second.returncode == 1 and "another operation is working on plugin" in second.stderr, second
    reply = unix_http.request(started.control, "POST", f"/plugins/pull?remote={image.name}", [])
    assert reply.status == 409, reply
    held.set()
    assert first.wait(30) == 0, first.stderr.read()
    installed_whole(started, image)


def at_once(commands):
    """Runs these commands all at the same time: (status, errors) of each."""
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for command in commands]
    return [(process.communicate(timeout=120)[1], process.returncode) for process in running]


def test_ten_installs_that_share_a_layer(started, registry):
    images = [ServedImage(registry, f"acme/p{n}", [BLOB, layer({"etc/own": b"%d" % n})]) for n in range(10)]
    ended = at_once([started.pluginctl_command("install", "--disable", "--grant-all-permissions", image.name) for image in images])
    assert ended == [("", 0)] * 10
    assert_verified(started)
    for number, image in enumerate(images):
        root = started.state / "plugins" / inspect(started, image.name)["Id"] / "rootfs"
        assert (root / "etc/own").read_bytes() == b"%d" % number and (root / "etc/data").read_bytes() == DATA
    ended = at_once([started.pluginctl_command("rm", image.name) for image in images])
    assert ended == [("", 0)] * 10 and blobs(started) == set()


def test_garbage_collection_beside_installs(started, registry, directory):
    """`rm` of a plugin whose layers another one, on its way in, found in the store."""
    shared = [layer({f"etc/{n}": random.Random(n).randbytes(200_000)}) for n in range(4)]
    images = [ServedImage(registry, f"acme/p{n}", [*shared, layer({"etc/own": b"%d" % n})]) for n in range(2)]
    succeed(install(started, images[0].name))
    for turn in range(12):
        here, comes = images[turn % 2], images[1 - turn % 2]
        ended = at_once([started.pluginctl_command("install", "--disable", "--grant-all-permissions", comes.name),
                         started.pluginctl_command("rm", here.name), started.pluginctl_command("prune", "-f")])
        assert [status for _said, status in ended] == [0, 0, 0], ended
        assert blobs(started) >= {digest_of(blob)[7:] for blob in (comes.manifest, comes.config, *comes.layers)}
        archive = directory / "saved.tar"
        succeed(started.pluginctl("save", "-o", archive, comes.name))
    assert_verified(started)
