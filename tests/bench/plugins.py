"""Plugins as the benches need them: driven by the measuring thread itself, so that they take no time from it."""

import contextlib
import ctypes
import os
import select
import socket
import struct
import time

MANIFEST = b'{"Implements": ["VolumeDriver"]}'
ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.plugins.v1.2+json\r\nConnection: close\r\n"
          b"Content-Length: %d\r\n\r\n%s" % (len(MANIFEST), MANIFEST))


def listen_unix(path):
    """A listener whose path appears only when it already accepts, as a careful plugin does it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path + ".new")
    listener.listen(16)
    os.rename(path + ".new", path)
    return listener


def reserve_port():
    """A bound socket that does not listen yet: connections are refused, and nobody else takes the port."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.bind(("127.0.0.1", 0))
    return reserved, reserved.getsockname()[1]


def answer_handshake(listener, seconds=30):
    """Accepts until one connection has sent a request, and answers that with a manifest."""
    deadline = time.monotonic() + seconds
    while True:
        listener.settimeout(max(0.01, deadline - time.monotonic()))
        connection, _peer = listener.accept()
        with connection:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            request = b""
            while b"\r\n\r\n" not in request:
                part = connection.recv(65536)
                if not part:
                    break
                request += part
            if request.startswith(b"POST /Plugin.Activate "):
                connection.sendall(ANSWER)
                return


def write_in_place(path, text):
    path.write_text(text)


def rename_into_place(path, text):
    fresh = path.parent.parent / f".{path.name}.new"
    fresh.write_text(text)
    os.rename(fresh, path)


class DirectoryWatch:
    """inotify on one directory, for waiting without a loop that would take a core from what is measured."""

    CREATE, MOVED_TO = 0x100, 0x80

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0 or libc.inotify_add_watch(self._descriptor, os.fsencode(directory), self.CREATE | self.MOVED_TO) < 0:
            raise OSError(ctypes.get_errno(), f"inotify on {directory}")

    def wait_for(self, name, seconds=30):
        deadline = time.monotonic() + seconds
        while select.select([self._descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
            data = os.read(self._descriptor, 65536)
            offset = 0
            while offset < len(data):
                _watch, _mask, _cookie, length = struct.unpack_from("iIII", data, offset)
                offset += 16 + length
                if os.fsdecode(data[offset - length:offset].rstrip(b"\0")) == name:
                    return
        raise TimeoutError(f"{name} did not appear within {seconds} s")

    def close(self):
        os.close(self._descriptor)


def wait_connectable(path, seconds=30):
    """Returns the time at which a connection was accepted."""
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client, contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            client.connect(path)
            return time.perf_counter()
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody accepts on {path}")


def wait_gone(path, seconds=30):
    deadline = time.monotonic() + seconds
    while os.path.lexists(path):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} is still there")
        time.sleep(0.001)
