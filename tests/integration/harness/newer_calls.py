"""Makes the system calls that valgrind does not know for the program that it watches; see tests/fixtures/newer_calls."""

import ctypes
import os
import socket
import struct
import threading

from .build import BUILD

LIBRARY = BUILD / "tests" / "fixtures" / "newer_calls" / "libnewer-calls.so"
_REQUEST = struct.Struct("ll24s4096s")
_ANSWER = struct.Struct("ll")
_PIDFD_SEND_SIGNAL, _PIDFD_OPEN, _OPENAT2 = 424, 434, 437

_libc = ctypes.CDLL(None, use_errno=True)


def _call(number, *arguments):
    """The result, and errno where it is -1."""
    result = _libc.syscall(ctypes.c_long(number), *arguments)
    return result, ctypes.get_errno() if result == -1 else 0


class NewerCalls:
    """Until close(). A call that opens a descriptor is answered with it."""

    def __init__(self, directory):
        self._path = str(directory / "newer-calls.sock")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(self._path)
        self._socket.listen(64)
        self.made = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def environment(self):
        """Of the program."""
        return {"LD_PRELOAD": str(LIBRARY), "BROKERD_NEWER_CALLS": self._path}

    def _serve(self):
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return  # closed
            with peer:
                self._answer(peer)

    def _answer(self, peer):
        message, about, _, _ = socket.recv_fds(peer, _REQUEST.size, 1)
        number, argument, how, path = _REQUEST.unpack(message)
        opened = []
        try:
            if number == _PIDFD_SEND_SIGNAL:
                result, error = _call(number, about[0], ctypes.c_int(argument), None, 0)
            else:
                if number == _PIDFD_OPEN:
                    result, error = _call(number, ctypes.c_int(argument), 0)
                else:
                    assert number == _OPENAT2
                    result, error = _call(number, about[0], path.split(b"\0", 1)[0], how, ctypes.c_size_t(len(how)))
                opened += [result] if result >= 0 else []
            self.made += 1
            socket.send_fds(peer, [_ANSWER.pack(result, error)], opened)
        finally:
            for descriptor in (*about, *opened):
                os.close(descriptor)

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()
