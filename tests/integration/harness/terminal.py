"""A program on a terminal of its own, typed at as a person does."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time


class Terminal:
    """Started by the constructor; screen() is all that it has written so far."""

    def __init__(self, command, environment, columns=200):
        self._written = b""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(str(command[0]), [str(part) for part in command], environment)
            finally:
                os._exit(127)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))

    def type(self, text):
        os.write(self._terminal, text.encode())

    def screen(self):
        while select.select([self._terminal], [], [], 0)[0]:
            try:
                piece = os.read(self._terminal, 65536)
            except OSError:  # it has ended
                break
            if not piece:
                break
            self._written += piece
        return self._written.decode(errors="replace")

    def echoes(self):
        """Whether it shows what is typed: programs that ask for a password switch that off."""
        return termios.tcgetattr(self._terminal)[3] & termios.ECHO != 0

    def wait_for(self, condition, what, timeout=20):
        """Reads on until the condition is true: a program that cannot write does nothing else."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"no {what}; the terminal shows: {self.screen()[-2000:]!r}"
            select.select([self._terminal], [], [], 0.02)
            self.screen()

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self._terminal)
        os.waitpid(self.pid, 0)
