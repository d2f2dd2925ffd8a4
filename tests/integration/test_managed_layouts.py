"""Hostile OCI layouts for `pluginctl load`, as archives and as directories."""

import io
import json
import os
import tarfile

import pytest
from archives.outside import make_canary, state_of
from harness.managed import assert_verified, blobs, inspect, succeed
from harness.plugin_images import CONFIG
from harness.served_image import LAYER_TYPE, PLUGIN_TYPE, layer
from lying_registry import MANIFEST, digest_of

INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = layer({"etc/x": b"x" * 10_000})
CONFIG_BYTES = json.dumps(CONFIG).encode()


def descriptor(media_type, blob, **more):
    return {"mediaType": media_type, "digest": digest_of(blob), "size": len(blob), **more}


def path_of(blob):
    return "blobs/sha256/" + digest_of(blob)[7:]


def manifest_of(**changes):
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(PLUGIN_TYPE, CONFIG_BYTES),
                       "layers": [descriptor(LAYER_TYPE, LAYER)], **changes}).encode()


def index_of(*entries):
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}).encode()


def named(manifest, name="acme/loaded:1"):
    return descriptor(MANIFEST, manifest, annotations={"io.brokerd.plugin.reference": name})


def honest(manifest=None, index=None):
    """The files of a layout: path -> bytes; a str is a symbolic link's target, None a FIFO."""
    manifest = manifest or manifest_of()
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index or index_of(named(manifest)),
            path_of(manifest): manifest, path_of(CONFIG_BYTES): CONFIG_BYTES, path_of(LAYER): LAYER}


def but(path, content, **options):
    return {**honest(**options), path: content}


def without(path):
    files = honest()
    del files[path]
    return files


def nested(depth):
    """An index in an index in an index …"""
    manifest = manifest_of()
    files = honest(manifest)
    entry = {**named(manifest), "platform": {"os": "linux", "architecture": "amd64"}}
    for _ in range(depth):
        index = index_of(entry)
        files[path_of(index)] = index
        entry = descriptor(INDEX, index, annotations={"io.brokerd.plugin.reference": "acme/loaded:1"})
    files["index.json"] = index_of(entry)
    return files


def linked_directory():
    files = {path: content for path, content in honest().items() if not path.startswith("blobs/")}
    return {**files, "blobs": "@OUT@/blobs"}


OTHER = manifest_of(layers=[descriptor(LAYER_TYPE, LAYER), {**descriptor(LAYER_TYPE, b"nowhere")}])
LONGER = manifest_of(layers=[{**descriptor(LAYER_TYPE, LAYER), "size": len(LAYER) + 1}])
TRAVERSING = {**named(manifest_of()), "digest": "sha256:../../index.json"}
LAYOUTS = {
    # What the links lead to are the right bytes: only following them can go wrong.
    "a blob is a link": but(path_of(LAYER), "@OUT@/" + path_of(LAYER)), "a blob is an upward link": but(path_of(LAYER), "../../../../@UP@"),
    "the config is a link": but(path_of(CONFIG_BYTES), "@OUT@/" + path_of(CONFIG_BYTES)), "blobs is a link": linked_directory(),
    "the index is a link": but("index.json", "@OUT@/index.json"), "a blob is a FIFO": but(path_of(LAYER), None),
    "the index is a FIFO": but("index.json", None), "a blob in another's place": but(path_of(LAYER), CONFIG_BYTES),
    "a blob with other bytes": but(path_of(LAYER), bytes(len(LAYER))), "a config with other bytes": but(path_of(CONFIG_BYTES), CONFIG_BYTES.replace(b"/bin", b"/nib")),
    "a missing manifest": without(path_of(manifest_of())), "a missing config": without(path_of(CONFIG_BYTES)), "a missing layer": without(path_of(LAYER)),
    "a layer that nobody has": honest(OTHER), "a layer of another size": honest(LONGER), "no marker": without("oci-layout"),
    "another version": but("oci-layout", b'{"imageLayoutVersion":"2.0.0"}'), "no index": without("index.json"),
    "an empty index": honest(index=index_of()), "an index that is no JSON": honest(index=b"[" * 100_000),
    "an index of 5 MiB": honest(index=index_of(named(manifest_of())) + b" " * (5 << 20)),
    "2000 entries": honest(index=index_of(*[named(manifest_of(), f"acme/p{n}") for n in range(2000)])),
    "lists in lists": nested(8), "a digest that is a path": honest(index=index_of(TRAVERSING)),
    "a size below zero": honest(index=index_of({**named(manifest_of()), "size": -1})),
    "a size of a TB": honest(index=index_of({**named(manifest_of()), "size": 1 << 40})),
    "two images": honest(index=index_of(named(manifest_of(), "acme/a"), descriptor(MANIFEST, OTHER, annotations={"io.brokerd.plugin.reference": "acme/b"}))),
    "a manifest and an index at once": honest(manifest_of(manifests=[])),
}


@pytest.fixture
def outside(directory):
    """A canary that has every blob of an honest layout."""
    place = directory / "canary"
    make_canary(place)
    (place / "blobs/sha256").mkdir(parents=True)
    for path, content in honest().items():
        (place / path).write_bytes(content)
    return place


def text_of(target, outside):
    return target.replace("@OUT@", str(outside)).replace("../../../../@UP@", "../" * 12 + str(outside / path_of(LAYER)).lstrip("/"))


def write_directory(files, place, outside):
    for path, content in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            os.mkfifo(place / path)
        elif isinstance(content, str):
            os.symlink(text_of(content, outside), place / path)
        else:
            (place / path).write_bytes(content)


def write_archive(files, place, outside):
    with tarfile.open(place, "w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            if content is None:
                entry.type = tarfile.FIFOTYPE
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, text_of(content, outside)
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)


@pytest.mark.parametrize("kind", ["archive", "directory"])
def test_an_honest_layout(started, directory, outside, kind):
    (write_archive if kind == "archive" else write_directory)(honest(), directory / "given", outside)
    succeed(started.pluginctl("load", "--grant-all-permissions", directory / "given"))
    plugin = inspect(started, "acme/loaded:1")
    assert (started.state / "plugins" / plugin["Id"] / "rootfs/etc/x").read_bytes() == b"x" * 10_000
    assert blobs(started) == {digest_of(blob)[7:] for blob in (manifest_of(), CONFIG_BYTES, LAYER)}
    assert_verified(started)


@pytest.mark.parametrize("kind", ["archive", "directory"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_hostile_layout(started, directory, outside, name, kind):
    (write_archive if kind == "archive" else write_directory)(LAYOUTS[name], directory / "given", outside)
    before = state_of(outside)
    refused = started.pluginctl("load", "--grant-all-permissions", directory / "given")
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1, refused
    assert 0 < len(refused.stderr) < 1500 and refused.stderr.strip().isprintable()
    assert state_of(outside) == before and started.plugins() == {}
    assert_verified(started)
    succeed(started.pluginctl("prune", "-f"))
    assert blobs(started) == set()
