"""The plugins: mobyfs, and rclone's Docker volume plugin."""

import json
import pathlib
import socket
import subprocess
import sys

from . import isolation
from .build import REPOSITORY
from .process import Process
from .waiting import wait_until

FIXTURES = REPOSITORY / "tests" / "fixtures"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Mobyfs:
    """The sample plugin. `listen` is a URL, or "tcp" for a free port of 127.0.0.1."""

    def __init__(self, directory, listen="tcp", *, name="mobyfs", wait=True, **switches):
        self.directory = pathlib.Path(directory)
        self.root = self.directory / f"{name}.volumes"
        self.calls_path = self.directory / f"{name}.calls"
        self._log = self.directory / f"{name}.log"
        if listen == "tcp":
            listen = f"tcp://127.0.0.1:{free_port()}"
        self.url = listen
        self.process = None
        self.start(wait=wait, **switches)

    def start(self, *, wait=True, **switches):
        """Starts it (again), with any of its switches: delay=1, crash_on="VolumeDriver.Create", tls_cert=…"""
        command = [sys.executable, FIXTURES / "mobyfs", "--listen", self.url, "--root", self.root, "--log", self.calls_path, "--verbose"]
        for switch, values in switches.items():
            for value in values if isinstance(values, (list, tuple)) else [values]:
                command += ["--" + switch.replace("_", "-"), value]
        before = self._log.read_text(encoding="utf-8").count("listening on") if self._log.exists() else 0
        self.process = Process(command, self._log)
        if wait:
            wait_until(lambda: self.process.output().count("listening on") > before or not self.process.running,
                       "listening mobyfs", 15 + float(switches.get("late", 0)))
            assert self.process.running, self.process.output()
        return self

    def stop(self):
        if self.process.running:
            self.process.stop()

    def kill(self):
        self.process.kill()

    def calls(self, method=None):
        """Every request that it received, or those of one method."""
        if not self.calls_path.exists():
            return []
        lines = self.calls_path.read_text(encoding="utf-8").splitlines()
        return [call for call in map(json.loads, lines) if method in (None, call["Method"])]

    close = stop


class Rclone:
    """`rclone serve docker` on TCP: a volume plugin that mounts by FUSE. Its state survives start() on another port."""

    def __init__(self, directory, port=None):
        self.directory = pathlib.Path(directory) / "rclone"
        self.remote = self.directory / "remote"  # where the volumes' files end up
        for part in ("remote", "base", "cache"):
            (self.directory / part).mkdir(parents=True)
        self.process = None
        self.start(port)

    def start(self, port=None):
        self.port = port or free_port()
        self.process = Process(
            ["rclone", "serve", "docker", "--socket-addr", f"127.0.0.1:{self.port}", "--no-spec", "-vv",
             "--base-dir", self.directory / "base", "--cache-dir", self.directory / "cache"],
            self.directory / "log", environment={"RCLONE_CONFIG": str(self.directory / "rclone.conf"), "HOME": str(self.directory)})
        wait_until(lambda: _tcp_listening(self.port) or not self.process.running, "listening rclone", 20)
        assert self.process.running, self.process.output()
        return self

    @property
    def url(self):
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def options(self):
        """The driver options that put a volume's files into `remote`."""
        return [f"remote={self.remote}"]

    def stop(self):
        if self.process.running:
            self.process.stop()

    def close(self):
        try:
            self.stop()
        finally:
            isolation.unmount_below(str(self.directory))


def _tcp_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_certificates(directory):
    """CA, server and client certificates; see tests/fixtures/certificates."""
    subprocess.run([sys.executable, FIXTURES / "certificates", directory], check=True, stdout=subprocess.DEVNULL)
    return pathlib.Path(directory)
