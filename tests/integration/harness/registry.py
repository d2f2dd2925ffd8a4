"""Debian's docker-registry on a free port of the loopback interface."""

import pathlib
import urllib.request

from .plugins import free_port
from .process import Process
from .waiting import wait_until

REGISTRY = "/usr/bin/docker-registry"


class Registry:
    """`lines` are added to its configuration, for instance an `auth:` section."""

    def __init__(self, directory, lines="", name="registry"):
        self.directory = pathlib.Path(directory) / name
        self.storage = self.directory / "storage"
        self.storage.mkdir(parents=True)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        configuration = self.directory / "config.yml"
        configuration.write_text(
            f"version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {self.storage}\n"
            f"  delete:\n    enabled: true\nhttp:\n  addr: {self.host}\n{lines}")
        self.process = Process([REGISTRY, "serve", configuration], self.directory / "log",
                               environment={"OTEL_TRACES_EXPORTER": "none"})
        try:
            wait_until(self._answers, lambda: f"answer from the registry:\n{self.process.output()[-2000:]}", 20)
        except BaseException:
            self.close()
            raise

    def _answers(self):
        try:
            with urllib.request.urlopen(f"http://{self.host}/", timeout=2):
                return True
        except OSError:
            return False

    def close(self):
        self.process.stop()
