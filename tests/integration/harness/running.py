"""Managed plugins that run: the sample plugin (tests/fixtures/sample_plugin) as an image of one static program."""

import os

from .build import BUILD
from .managed import succeed
from .plugin_images import make_plugin
from .waiting import wait_until

SAMPLE = BUILD / "tests" / "fixtures" / "sample_plugin" / "sample-plugin"


def make_sample(directory, behaviour="", config=None, files=None):
    """Like make_plugin(), with the sample plugin as its program; see its source for what `behaviour` can say."""
    environment = [{"name": name, "description": "", "settable": ["value"], "value": value}
                   for name, value in (("BEHAVIOUR", behaviour), ("VOLUMES", "/data"))]
    return make_plugin(directory, {"env": environment, **(config or {})}, {"bin/sample": SAMPLE.read_bytes(), **(files or {})})


def create_sample(broker, name, behaviour="", config=None):
    """Installs it, disabled."""
    directory = broker.directory / f"image-{name.replace('/', '-').replace(':', '-')}"
    succeed(broker.pluginctl("create", name, make_sample(directory, behaviour, config)))


def enable_sample(broker, name, behaviour="", config=None):
    """Installs and enables it; returns how the API shows it."""
    create_sample(broker, name, behaviour, config)
    succeed(broker.pluginctl("enable", name))
    return broker.wait_state(name, "running")


def wait_gone(pid):
    """Until the process has ended and been reaped."""
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), lambda: f"process {pid} to end", 10)
