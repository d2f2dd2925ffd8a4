"""Calls of brokerd, its archive workers and its shims that fail, or that it is killed on entering: the other side of
tests/fixtures/failing_calls, which says what is seen."""

import contextlib
import dataclasses
import mmap
import os
import struct

from .brokerd import BUILD

LIBRARY = BUILD / "tests" / "fixtures" / "failing_calls" / "libfailing-calls.so"

WRITES, OPENS, WAITS = 1, 2, 4  # as the library's Kind
EVER = 2**32 - 1

_KILL = -1
_LOGGED = 8192
_HEAD = struct.Struct("<IIIIiiII128s")
_ENTRY = struct.Struct("<II24s224s")


@dataclasses.dataclass(frozen=True)
class Call:
    """One that was made; `what` is a path, or a descriptor's number where no path can be known."""

    number: int
    pid: int
    disturbed: bool
    interruptible: bool
    name: str
    what: str

    def __str__(self):
        return f"call {self.number}, {self.name}({self.what}) of process {self.pid}"


class FailingCalls:
    """For a Brokerd that is started with `environment`. Nothing is disturbed, or counted, but within one of the three."""

    def __init__(self, directory):
        path = directory / "failing-calls"
        path.write_bytes(bytes(_HEAD.size + _LOGGED * _ENTRY.size))
        with open(path, "r+b") as file:
            self._page = mmap.mmap(file.fileno(), 0)
        sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        self.environment = {"LD_PRELOAD": str(LIBRARY), "BROKERD_FAILING_CALLS": str(path), "ASAN_OPTIONS": sanitizer}

    def counting(self, kinds):
        return self._armed(kinds, EVER, EVER, 0, 0)

    def failing(self, kinds, error, first, last):
        """Calls `first` to `last` fail with that errno: with EINTR those that can."""
        return self._armed(kinds, first, last, error, 0)

    def failing_at(self, kinds, error, pattern, once=False):
        """The first call that the pattern matches, as "fsync(*/state/plugins)", fails with that errno, and so does each later one
        unless `once`."""
        return self._armed(kinds, EVER, EVER, error, 0, once, pattern)

    def killing(self, kinds, number, victim=0):
        """On entering call `number` the process that makes it dies, if it is `victim` or that is 0. Another one is held
        there until the end, for it may not be allowed to send signals: when `disturbed`, kill the victim."""
        return self._armed(kinds, number, number, _KILL, victim)

    @contextlib.contextmanager
    def _armed(self, kinds, first, last, action, victim, once=False, pattern=""):
        self._page[:_HEAD.size] = _HEAD.pack(0, 0, first, last, action, victim, 0, once, pattern.encode())
        self._page[:4] = struct.pack("<I", kinds)  # last: it begins with this
        try:
            yield self
        finally:
            self._page[:4] = struct.pack("<I", 0)

    @property
    def made(self):
        return _HEAD.unpack_from(self._page)[1]

    @property
    def disturbed(self):
        """How many were, the last time."""
        return _HEAD.unpack_from(self._page)[6]

    def log(self):
        """Each call of the last time."""
        calls = []
        for number in range(min(self.made, _LOGGED)):
            pid, marks, name, what = _ENTRY.unpack_from(self._page, _HEAD.size + number * _ENTRY.size)
            texts = (text.split(b"\0")[0].decode("utf-8", "replace") for text in (name, what))
            calls.append(Call(number + 1, pid, marks & 1 != 0, marks & 2 != 0, *texts))
        return calls

    def hits(self):
        return [call for call in self.log() if call.disturbed]
