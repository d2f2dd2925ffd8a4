"""Calls archive_tool, a program of the tests that offers what daemon/archive can do."""

import os
import pathlib
import subprocess

from harness.build import BUILD

TOOL = pathlib.Path(os.environ.get("ARCHIVE_TOOL", BUILD / "tests/fixtures/archive_tool/archive_tool")).resolve()


def run(*arguments, **options):
    return subprocess.run([TOOL, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120, check=False, **options)
