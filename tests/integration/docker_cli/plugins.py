"""What the steps make plugins of: PLUGINS/NAME."""

import pathlib

from harness.plugin_images import make_plugin
from harness.running import make_sample

HELPERS = 17  # of so many IDs, two begin with the same digit

FIXED = {"name": "FIXED", "description": "not settable", "value": "1"}
VARIABLES = [{"name": name, "description": "", "settable": ["value"], "value": value}
             for name, value in (("BEHAVIOUR", ""), ("VOLUMES", "/data"), ("DEBUG", "0"))]
GREEDY = {
    "description": "wants everything", "network": {"type": "host"}, "ipchost": True, "pidhost": True,
    "mounts": [{"name": "state", "description": "", "type": "bind", "source": "/tmp", "destination": "/mnt", "options": ["rbind"],
                "settable": ["source"]}],
    "args": {"name": "args", "description": "words", "settable": ["value"], "value": []},
    "linux": {"capabilities": ["CAP_SYS_ADMIN"],
              "devices": [{"name": "null", "description": "", "path": "/dev/null", "settable": ["path"]},
                          {"name": "full", "description": "", "path": "/dev/full", "settable": None}]},
}
# Docker takes it; a mount's destination can never be set.
BOTH = {"mounts": [{**GREEDY["mounts"][0], "name": "unreachable", "settable": ["source", "destination"]}]}
ONE = {"env": [*VARIABLES, FIXED], "network": {"type": "null"}}
CONFIGS = {
    "one": ONE,
    "other": ONE,
    "short": ONE,
    "compressed": ONE,
    "two": {**ONE, "description": "the second", "linux": {"capabilities": ["CAP_NET_ADMIN"]}},
    "path": {**ONE, "description": "has a path"},
    "greedy": GREEDY,
    "unreachable": ONE,
    "no-network": {**ONE, "network": {"type": "none"}},
    "both-settable": BOTH,
    "twin": {**ONE, "interface": {"types": ["docker.volumedriver/1.0", "docker.authz/1.0"], "socket": "sample.sock"}},
}
BEHAVIOURS = {"crash": "exit=3", "mute": "never-listen"}


def make_plugins(directory):
    """Each is another one: Docker refuses a rootfs that it has already."""
    directory = pathlib.Path(directory)
    for name, config in CONFIGS.items():
        make_sample(directory / name, config=config, files={"name": name.encode()})
    for name, behaviour in BEHAVIOURS.items():
        make_sample(directory / name, behaviour, {"network": {"type": "null"}}, files={"name": name.encode()})
    for number in range(HELPERS):
        make_plugin(directory / f"helper{number}", files={"name": str(number).encode()})
    (directory / "file").write_text("no plugin")
    for name, text in (("no-config", None), ("config-no-json", "{"), ("config-other-type", '{"entrypoint": 7}'), ("config-empty", "{}")):
        (directory / name / "rootfs").mkdir(parents=True)
        (directory / name / "rootfs" / "name").write_text(name)
        if text is not None:
            (directory / name / "config.json").write_text(text)
    (directory / "no-rootfs").mkdir()
    (directory / "no-rootfs" / "config.json").write_text("{}")
    return directory
