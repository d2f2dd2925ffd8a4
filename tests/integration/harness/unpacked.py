"""Programs of Debian packages that are not installed, because an installation would enable their services: apt fetches the
package from this machine's source, dpkg-deb unpacks it into a cache, and nothing of it is known to the machine.

BROKERD_TEST_CACHE: where, else /var/cache/brokerd-tests.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from . import isolation

CACHE = pathlib.Path(os.environ.get("BROKERD_TEST_CACHE", "/var/cache/brokerd-tests")) / "unpacked"
PATIENCE_SECONDS = 240


def program(package, name):
    """The path of a program of the package: the installed one, that of the cache, or fetched now. Where there is none, and no
    network to get it by, the test is skipped."""
    installed = shutil.which(name)
    if installed is not None:
        return installed
    kept = CACHE / package / "usr" / "bin" / name
    if not kept.exists():
        try:
            _fetch(package)
        except (subprocess.SubprocessError, OSError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            pytest.skip(f"apt could not fetch {package} (is there a network?): {said[0] if said else type(error).__name__}")
    assert kept.exists(), f"the package {package} has no program {name}"
    return str(kept)


def _fetch(package):
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished.", dir=CACHE) as place:
        # Outside the tests' namespaces, which have no network.
        subprocess.run([*isolation.outside(), "env", f"--chdir={place}", "LC_ALL=C.UTF-8", "apt-get", "-qq", "-o", "APT::Sandbox::User=root",
                        "download", package], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS)
        archive, = pathlib.Path(place).glob(f"{package}_*.deb")
        tree = pathlib.Path(place) / "tree"
        subprocess.run(["dpkg-deb", "-x", archive, tree], check=True, capture_output=True, text=True)
        tree.chmod(0o755)
        shutil.rmtree(CACHE / package, ignore_errors=True)
        tree.rename(CACHE / package)
