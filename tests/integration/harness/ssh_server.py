"""A private sshd on loopback, with keys of its own, and an ssh that knows it; see test_pluginctl_remote.py."""

import os
import pathlib
import socket
import subprocess

from .process import Process
from .waiting import wait_until

ALIAS = "other-host"


class SshServer:
    """`ssh other-host` runs commands here, as root, with `commands` (name -> program) alone in front of the system's."""

    def __init__(self, directory, commands, environment=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.client = self._programs("client", {})
        server = self._programs("server", commands)
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd's own, in our private /run
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / name], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        variables = {"PATH": f"{server}:/usr/bin:/bin", **(environment or {})}
        self._write("sshd_config", [
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.directory}/host", f"PidFile {self.directory}/pid",
            f"AuthorizedKeysFile {self.directory}/user.pub", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
            "PermitRootLogin yes", "LogLevel VERBOSE", "SetEnv " + " ".join(f"{key}={value}" for key, value in variables.items())])
        self._write("ssh_config", [
            f"Host {ALIAS}", "HostName 127.0.0.1", f"Port {self.port}",
            "Host *", "User root", f"IdentityFile {self.directory}/user", "IdentitiesOnly yes", "BatchMode yes",
            f"UserKnownHostsFile {self.directory}/known", "GlobalKnownHostsFile none"])
        key = (self.directory / "host.pub").read_text().split()[:2]
        self._write("known", [f"[127.0.0.1]:{self.port} {' '.join(key)}"])
        self.process = Process(["/usr/sbin/sshd", "-D", "-e", "-f", self.directory / "sshd_config"], self.directory / "sshd.log")
        wait_until(self._answers, lambda: "sshd: " + self.process.output())

    def _write(self, name, lines):
        (self.directory / name).write_text("\n".join(lines) + "\n")

    def _programs(self, name, commands):
        """A directory for PATH: with `commands`, and an ssh that reads our configuration."""
        place = self.directory / name
        place.mkdir()
        for command, program in commands.items():
            (place / command).symlink_to(program)
        wrapper = place / "ssh"
        wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{self.directory}/ssh.calls\n'
                           f'exec /usr/bin/ssh -F {self.directory}/ssh_config "$@"\n')
        wrapper.chmod(0o755)
        return place

    def _answers(self):
        assert self.process.running, self.process.output()
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def calls(self):
        """The command lines that ssh was started with."""
        path = self.directory / "ssh.calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def environment(self):
        """For whoever is to find this ssh."""
        return {"PATH": f"{self.client}:{os.environ['PATH']}"}

    def close(self):
        self.process.stop()
