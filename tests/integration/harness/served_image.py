"""A plugin's image in a tests/fakes/lying_registry.LyingRegistry, honest until a test replaces an answer."""

import gzip
import io
import json
import tarfile

from lying_registry import MANIFEST, content, digest_of, whole

from .plugin_images import CONFIG

PLUGIN_TYPE = "application/vnd.docker.plugin.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def layer(files):
    """A layer of these files: path -> bytes. What does not compress stays as large as it is."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(stream.getvalue(), 1, mtime=0)


class ServedImage:
    """`config` is laid over the sample's; `layers` are the blobs as they are sent."""

    def __init__(self, registry, repository, layers, config=None, tag="latest"):
        self.name = f"{registry.host}/{repository}:{tag}"
        self.registry, self._repository, self._tag = registry, repository, tag
        self.layers = layers
        self.config = json.dumps({**CONFIG, **(config or {})}).encode()
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": PLUGIN_TYPE, "size": len(self.config), "digest": digest_of(self.config)},
            "layers": [{"mediaType": LAYER_TYPE, "size": len(blob), "digest": digest_of(blob)} for blob in layers]}).encode()
        self.be_honest()

    def blob_path(self, blob):
        return f"/v2/{self._repository}/blobs/{digest_of(blob)}"

    @property
    def manifest_path(self):
        return f"/v2/{self._repository}/manifests/{self._tag}"

    def be_honest(self):
        self.registry.answers[self.manifest_path] = whole(200, self.manifest, Content_Type=MANIFEST)
        for blob in (self.config, *self.layers):
            self.registry.answers[self.blob_path(blob)] = content(blob)

    def lie(self, blob, answers):
        self.registry.answers[self.blob_path(blob)] = answers
