"""The docker command lines of Debian 12 and of today, each for a socket of one's own choice."""

import os
import subprocess

import pytest

from .engines import DOCKER
from .newest_docker_cli import Unavailable, newest_docker_cli


#: For a fixture's parameters. The newest one must be fetched first, and starts slowly.
NAMES = ["debian", pytest.param("newest", marks=pytest.mark.long)]


def program(name):
    """The path of the command line of that name; the test is skipped where there is none, and why is said."""
    if name == "debian":
        return DOCKER
    try:
        return str(newest_docker_cli())
    except Unavailable as reason:
        return pytest.skip(str(reason))


class Docker:
    """A docker command line that speaks to the socket at `path`."""

    def __init__(self, program, path, config):
        self.program = program
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{path}", "DOCKER_CONFIG": str(config), "HOME": str(config)}

    def __call__(self, *arguments, stdin=subprocess.DEVNULL, timeout=60, **environment):
        return subprocess.run([self.program, *map(str, arguments)], stdin=stdin, capture_output=True, text=True, timeout=timeout,
                              env={**self.environment, **environment})

    def watch(self, *arguments):
        return subprocess.Popen([self.program, "events", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                env=self.environment)
