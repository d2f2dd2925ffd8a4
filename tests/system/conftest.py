"""What the booted tests share."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "system")]

from inside import BUILD  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes half a minute and more, and waits for most of it; runs with packaging/test --long")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What a build installs, below a prefix of its own."""
    place = tmp_path_factory.mktemp("installed")
    succeed("cmake", "--install", BUILD, "--prefix", place / "usr")
    return place / "usr"


@pytest.fixture(scope="session")
def packages():
    """brokerd's package of the build that is tested, in two versions, the older first. BROKERD_SYSTEM_PACKAGE: the older one,
    if it has been made already."""
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as output:
        made = os.environ.get("BROKERD_SYSTEM_PACKAGE")
        old = pathlib.Path(made) if made else make_package(pathlib.Path(output))
        yield old, later(old, pathlib.Path(output))


def make_package(output):
    """Of what has been compiled."""
    succeed(ROOT / "packaging/deb", "--build", BUILD, "--output", output, "--no-install")
    package, = output.glob("brokerd_*.deb")
    return package


def later(package, output):
    """The next version of a package: the same files, but for the programs of the daemon, which are others."""
    place = output / "later"
    succeed("dpkg-deb", "--raw-extract", package, place)
    control = place / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1+later", control.read_text()))
    for program in ("usr/sbin/brokerd", "usr/libexec/brokerd/brokerd-shim"):
        with open(place / program, "ab") as file:
            file.write(b"another build")
    result = output / "brokerd_later.deb"
    succeed("dpkg-deb", "--root-owner-group", "-Znone", "--build", place, result)
    return result


def succeed(*command):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}"
