"""Managed plugins to be installed: directories with a config.json and a rootfs."""

import io
import json
import os
import pathlib
import shutil
import tarfile

CONFIG = {
    "description": "sample plugin", "documentation": "https://docs.example.com/",
    "entrypoint": ["/bin/sample"], "workdir": "/", "network": {"type": "none"},
    "interface": {"types": ["docker.volumedriver/1.0"], "socket": "sample.sock"},
    "env": [{"name": "DEBUG", "description": "how much is told", "settable": ["value"], "value": "0"}],
    "linux": {"capabilities": []},
}


def make_plugin(directory, config=None, files=None, size=0):
    """Writes DIRECTORY/{config.json,rootfs}: `config` is laid over CONFIG, `files` are path -> bytes, `size` bytes that
    no compression makes smaller come in one file more."""
    directory = pathlib.Path(directory)
    root = directory / "rootfs"
    for path in ("bin", "run/docker/plugins", "data"):
        (root / path).mkdir(parents=True)
    (root / "bin" / "sample").write_bytes(b"#!/bin/false\n")
    (root / "bin" / "sample").chmod(0o755)
    os.symlink("bin", root / "sbin")
    for path, content in (files or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    if size:
        (root / "data" / "random").write_bytes(os.urandom(size))
    (directory / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    return directory


def tar_of(plugin):
    """What `docker plugin create` sends of a directory."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(plugin / "config.json", "config.json")
        tar.add(plugin / "rootfs", "rootfs")
    return content.getvalue()


def make_rclone_plugin(directory):
    """rclone's volume plugin as it is packed for Docker: /dev/fuse, a propagated mount, the host's network."""
    directory = make_plugin(directory, {
        "description": "rclone volumes", "entrypoint": ["/usr/bin/rclone", "serve", "docker"],
        "network": {"type": "host"}, "propagatedMount": "/mnt",
        "interface": {"types": ["docker.volumedriver/1.0"], "socket": "rclone.sock"},
        "mounts": [{"name": "config", "description": "", "type": "bind", "options": ["rbind"], "source": "/tmp",
                    "destination": "/data/config", "settable": ["source"]}],
        "args": {"name": "args", "description": "", "settable": ["value"], "value": []},
        "linux": {"capabilities": ["CAP_SYS_ADMIN"], "devices": [{"name": "fuse", "description": "", "path": "/dev/fuse"}]},
    })
    root = directory / "rootfs"
    (root / "usr" / "bin").mkdir(parents=True)
    shutil.copy2("/usr/bin/rclone", root / "usr" / "bin" / "rclone")
    (root / "mnt").mkdir()
    return directory


def tree(root):
    """Every entry below `root`: path -> (type and mode, owner, group, size or link target, content)."""
    root = pathlib.Path(root)
    entries = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = os.readlink(path)
        else:
            content = path.read_bytes() if path.is_file() else None
        entries[str(path.relative_to(root))] = (oct(status.st_mode), status.st_uid, status.st_gid, content)
    return entries
