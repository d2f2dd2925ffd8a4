"""What tests of managed plugins share: images in a registry, and the state that brokerd keeps of them."""

import hashlib
import json
import os
import pathlib
import subprocess

from .plugin_images import make_plugin


def succeed(result):
    assert result.returncode == 0, f"{result.args}: status {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


def run(*command):
    return succeed(subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120))


def inspect(broker, name):
    return json.loads(succeed(broker.pluginctl("inspect", name)))[0]


def rootfs(broker, name):
    return broker.state / "plugins" / inspect(broker, name)["Id"] / "rootfs"


def blobs(broker):
    """The digits of each blob that the broker keeps."""
    return {path.name for path in (broker.state / "blobs" / "sha256").iterdir()}


def push_plugin(broker, registry, name, directory, config=None, files=None, size=0):
    """Makes a plugin, pushes it as `name` to the registry and forgets it; returns its directory."""
    plugin = make_plugin(directory, config, files, size)
    full = f"{registry.host}/{name}"
    succeed(broker.pluginctl("create", full, plugin))
    succeed(broker.pluginctl("push", full))
    succeed(broker.pluginctl("rm", full))
    return plugin


def tree_digest(root):
    """One digest of all names, types, owners, modes and contents below `root`."""
    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(root).rglob("*")):
        status = path.lstat()
        digest.update(f"{path.relative_to(root)}\0{status.st_mode:o}\0{status.st_uid}\0{status.st_gid}\0".encode())
        if path.is_symlink():
            digest.update(os.readlink(path).encode())
        elif path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def state_of(broker):
    """What of the managed plugins an operator can see, and what lies on disk, by name; IDs apart, as they are random."""
    state = {}
    for plugin in broker.get("/plugins", timeout=30).json():
        directory = broker.state / "plugins" / plugin["Id"]
        kept = {key: value for key, value in plugin.items() if key != "Id"}
        state[plugin["Name"]] = (json.dumps(kept, sort_keys=True), (directory / "config.json").read_bytes(),
                                 tree_digest(directory / "rootfs"))
    return state


def leftovers(broker):
    """What lies in the state root and belongs to no plugin."""
    known = {plugin["Id"] for plugin in broker.get("/plugins", timeout=30).json()}
    plugins = broker.state / "plugins"
    strange = [path.name for path in plugins.iterdir() if path.name not in known | {"plugins.json", "tmp"}]
    strange += [str(path) for path in (plugins / "tmp").iterdir()]
    strange += [str(path) for path in (broker.state / "blobs" / "tmp").iterdir()]
    return strange


def assert_verified(broker):
    """Every blob that is kept is what its name says, and nothing half done lies about."""
    for path in (broker.state / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert leftovers(broker) == []


def install(broker, name, *arguments, **options):
    return broker.pluginctl("install", "--disable", "--grant-all-permissions", name, *arguments, **options)
