"""A private sshd on loopback, with keys of its own, and an ssh that knows it; see test_pluginctl_remote.py."""

import os
import pathlib
import pwd
import socket
import subprocess

from . import isolation
from .process import Process
from .waiting import wait_until

ALIAS = "other-host"
ASKING, PASSPHRASE = "asking-host", "correct horse"  # the same host, with a key that is locked with a passphrase
MARK = "BROKERD_TEST_SSH"  # in the environment of whatever runs over a server: the server's directory


def _let_root_in():
    """What sshd needs of the system, in our private /run and /etc: its directory, its user, and a root whose account is not locked."""
    assert isolation.entered(), "the host's /etc is not ours to change"
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    try:
        pwd.getpwnam("sshd")
    except KeyError:
        subprocess.run(["useradd", "--system", "--home-dir", "/run/sshd", "--shell", "/usr/sbin/nologin", "sshd"], check=True)
    # "!" would be a locked account, which sshd refuses without PAM, whatever the key; "*" is one that no password opens.
    subprocess.run(["usermod", "--password", "*", "root"], check=True)


def _processes(are_meant):
    """By their command lines and environments."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if are_meant(*((process / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))):
                found.append(int(process.name))
        except OSError:
            pass  # it has ended
    return found


class SshServer:
    """`ssh other-host` runs commands here, as root, with `commands` (name -> program) alone in front of the system's."""

    def __init__(self, directory, commands, environment=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.client = self._programs("client", {})
        server = self._programs("server", commands)
        _let_root_in()
        for name, passphrase in (("host", ""), ("user", ""), ("locked", PASSPHRASE)):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", self.directory / name], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        variables = {"PATH": f"{server}:/usr/bin:/bin", MARK: str(self.directory), **(environment or {})}
        self._write("sshd_config", [
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.directory}/host", f"PidFile {self.directory}/pid",
            f"AuthorizedKeysFile {self.directory}/user.pub {self.directory}/locked.pub", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
            "PermitRootLogin yes", "PermitUserRC no", "LogLevel VERBOSE",
            "SetEnv " + " ".join(f"{key}={value}" for key, value in variables.items())])
        self._write("ssh_config", [
            f"Host {ALIAS} {ASKING}", "HostName 127.0.0.1", f"Port {self.port}",
            f"Host {ASKING}", f"IdentityFile {self.directory}/locked", "BatchMode no",
            f"Host * !{ASKING}", f"IdentityFile {self.directory}/user", "BatchMode yes",
            "Host *", "User root", "IdentitiesOnly yes", "IdentityAgent none",
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

    def remotes(self):
        """The processes `pluginctl dial-stdio` that somebody has started over this server, and nobody else's."""
        mark = os.fsencode(f"{MARK}={self.directory}")
        return _processes(lambda words, variables: words[0].endswith(b"pluginctl") and b"dial-stdio" in words and mark in variables)

    def clients(self):
        """The processes of ssh that use this server."""
        configuration = os.fsencode(self.directory / "ssh_config")
        return _processes(lambda words, _variables: words[0].endswith(b"ssh") and configuration in words)

    @property
    def environment(self):
        """For whoever is to find this ssh."""
        return {"PATH": f"{self.client}:{os.environ['PATH']}"}

    def close(self):
        self.process.stop()
