"""A child process with its output in a file."""

import os
import signal
import subprocess

from . import isolation
from .build import PATIENCE


def one_sentence(ran, status):
    """What a program that ended with this status said on stderr: a line, and no more."""
    assert ran.returncode == status and len(ran.stderr.splitlines()) == 1, (ran.returncode, ran.stderr)
    return ran.stderr


class Process:
    """Started by the constructor, ended by stop(); `log` is a file that takes stdout and stderr."""

    def __init__(self, command, log, *, environment=None, pass_fds=()):
        self.command = [str(part) for part in command]
        self.log_path = str(log)
        with open(self.log_path, "ab") as output:
            self._child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=pass_fds,
                env={**os.environ, **(environment or {})}, preexec_fn=isolation.die_with_parent)

    @property
    def pid(self):
        return self._child.pid

    @property
    def running(self):
        return self._child.poll() is None

    @property
    def returncode(self):
        return self._child.poll()

    def output(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def signal(self, number):
        self._child.send_signal(number)

    def wait(self, timeout=20):
        return self._child.wait(PATIENCE * timeout)

    def kill(self):
        """SIGKILL; returns when it is gone."""
        self._child.kill()
        self._child.wait(20)

    def stop(self, timeout=20):
        """SIGTERM, and SIGKILL where that does not help; returns the exit status."""
        if self.running:
            self._child.send_signal(signal.SIGCONT)
            self._child.terminate()
        try:
            return self._child.wait(PATIENCE * timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.command[0]} did not end within {timeout} s of SIGTERM\n{self.output()[-4000:]}") from None
