"""rclone as a managed volume plugin that runs, with real FUSE mounts in its propagated mount."""

import os
import shutil

from .plugin_images import make_plugin

# What rclone and the fusermount that it calls are linked with.
LIBRARIES = ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2")


def make_plugin_of_rclone(directory):
    """rclone as a plugin that can run: its files are those of the mount "data"."""
    plugin = make_plugin(directory, {
        "entrypoint": ["/usr/bin/rclone", "serve", "docker", "-vv"], "propagatedMount": "/mnt", "network": {"type": "host"},
        "interface": {"types": ["docker.volumedriver/1.0"], "socket": "rclone.sock"},
        "env": [{"name": name, "description": "", "settable": [], "value": value} for name, value in (
            ("RCLONE_BASE_DIR", "/mnt"), ("RCLONE_CACHE_DIR", "/data/cache"), ("RCLONE_CONFIG", "/data/rclone.conf"))],
        "mounts": [{"name": "data", "description": "", "type": "none", "options": ["rbind"], "source": "/srv",
                    "destination": "/remote", "settable": ["source"]}],
        "linux": {"capabilities": ["CAP_SYS_ADMIN"], "devices": [{"name": "fuse", "description": "", "path": "/dev/fuse"}]},
    })
    root = plugin / "rootfs"
    for path in ("mnt", "remote", "data/cache"):
        (root / path).mkdir()
    for source in ("/usr/bin/rclone", "/usr/bin/fusermount", *LIBRARIES):
        (root / source[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.realpath(source), root / source[1:])
    return plugin


def mounts_below(path):
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        return [fields[4] for fields in map(str.split, table) if fields[4].startswith(f"{path}/")]
