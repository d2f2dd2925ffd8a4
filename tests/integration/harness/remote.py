"""pluginctl for a brokerd that it reaches over ssh alone."""

import os
import subprocess

from .brokerd import PLUGINCTL
from .process import Process
from .ssh_server import ALIAS, SshServer

HOST = f"ssh://{ALIAS}"


class Remote:
    """A broker, and an sshd on its host, where BROKERD_HOST leads pluginctl to it."""

    def __init__(self, broker, directory, closing):
        self.broker = broker
        self.server = closing.add(SshServer(directory / "ssh", {"pluginctl": PLUGINCTL}, {"BROKERD_HOST": f"unix://{broker.control}"}))

    @property
    def environment(self):
        return {**os.environ, **self.server.environment}

    def pluginctl(self, *arguments, host=HOST, timeout=60, **options):
        command = [str(part) for part in (PLUGINCTL, "-H", host, *arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=self.environment,
                              **({} if "input" in options else {"stdin": subprocess.DEVNULL}), **options)

    def watch(self, directory, *arguments):
        return Process([PLUGINCTL, "-H", HOST, *arguments], directory / f"watch-{arguments[0]}", environment=self.server.environment)

    def left(self):
        """The processes on either side that carry a connection."""
        return self.server.clients() + self.server.remotes()
