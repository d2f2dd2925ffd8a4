"""A build with sanitizers: what they report of brokerd's processes. tests/sanitizers/options.cpp is the other side."""

import os
import re

from . import isolation
from .build import BUILD

_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: |ERROR: Can't open file: ")


def assert_none_in(output):
    """For what a program wrote whose children cannot open a file: brokerd's archive workers have another root directory."""
    found = _REPORT.search(output)
    assert not found, output[max(0, found.start() - 200):][:8000]


class Reports:
    """Where processes report that this one starts from now on. The files stay for whoever started the tests."""

    def __init__(self):
        self._directory = BUILD / "sanitizer-reports"
        own = self._directory / f"tests.{os.getpid()}"
        own.mkdir(parents=True, exist_ok=True)
        isolation.mount_over(own, self._directory)  # others run tests beside us, and their reports are not about ours
        self._seen = set(self._directory.iterdir())

    def fresh(self, forget=False):
        """What has come since the last time. `forget` is for a test that has brought it about: the files do not stay."""
        texts = []
        for path in sorted(set(self._directory.iterdir()) - self._seen):
            texts.append(f"{path.name}:\n{path.read_text(encoding='utf-8', errors='replace')[:8000]}")
            if forget:
                path.unlink()
            else:
                self._seen.add(path)
        return texts
