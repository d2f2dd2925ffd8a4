"""The HTTP/1.1 framing suite (framing/README.md) as two tests: on brokerd, and on itself."""

import os
import pathlib
import subprocess
import sys

import pytest
from harness.build import PATIENCE

HERE = pathlib.Path(__file__).resolve().parent
RUN = HERE / "framing" / "run.py"


def run(*arguments):
    """Runs the suite; its whole output is the failure message."""
    done = subprocess.run([sys.executable, str(RUN), *arguments], capture_output=True, text=True, timeout=300 * PATIENCE,
            check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_brokerd_frames_strictly():
    build = pathlib.Path(os.environ.get("BROKERD_BUILD", HERE.parents[1] / "build" / "release"))
    if not (build / "daemon" / "brokerd").exists():
        message = "no brokerd in %s; build it or set BROKERD_BUILD" % build
        pytest.fail(message) if "BROKERD_BUILD" in os.environ else pytest.skip(message)
    run("--proxy", "brokerd", "--patience", str(4 * PATIENCE))


@pytest.mark.long
def test_the_suite_finds_faulty_proxies():
    run("--self-check")
