"""The newest docker command line that Debian has: from the archive that this machine's apt uses, by apt, which verifies
it. apt's lists and the package go into a directory of their own; nothing is installed, and the machine's apt is not told.

BROKERD_TEST_CACHE: where, else /var/cache/brokerd-tests.
"""

import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from . import isolation

CACHE = pathlib.Path(os.environ.get("BROKERD_TEST_CACHE", "/var/cache/brokerd-tests")) / "docker-cli"
SUITE = "sid"
PATIENCE_SECONDS = 240  # the lists alone are ten megabytes
LOOK_AGAIN_SECONDS = 7 * 24 * 3600


class Unavailable(Exception):
    """There is no such command line here, and why."""


def newest_docker_cli():
    """Its path. What was fetched is used for a week, and for longer where there is no network. Needs root."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = CACHE / "current" / "usr" / "bin" / "docker"
        if not _is_fresh(program):
            try:
                _fetch()
            except (subprocess.SubprocessError, OSError) as error:
                if not program.exists():
                    raise Unavailable(f"apt could not fetch docker-cli of {SUITE} (is there a network?): {_reason(error)}") from None
        return program


def _is_fresh(program):
    try:
        return time.time() - program.parents[2].stat().st_mtime < LOOK_AGAIN_SECONDS
    except OSError:
        return False


def _reason(error):
    said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return said[0] if said else type(error).__name__


def _archive():
    """Where this machine's apt gets Debian from."""
    lines = _run("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)").splitlines()
    for codename, component, address in (line.split() for line in lines if line.count(" ") == 2):
        if (codename, component) == ("bookworm", "main"):
            return address
    raise Unavailable("apt on this machine knows no source of Debian 12 (bookworm main)")


def _fetch():
    place = pathlib.Path(tempfile.mkdtemp(prefix="unfinished.", dir=CACHE))
    try:
        for path in ("lists/partial", "archives/partial", "tree"):
            (place / path).mkdir(parents=True)
        (place / "sources.list").write_text(f"deb {_archive()} {SUITE} main\n")
        (place / "status").write_text("")
        apt = ["apt-get", "-qq"]
        for option in (f"Dir::Etc::SourceList={place}/sources.list", "Dir::Etc::SourceParts=/dev/null", f"Dir::State={place}",
                       f"Dir::State::Lists={place}/lists", f"Dir::State::Status={place}/status", f"Dir::Cache={place}",
                       "APT::Sandbox::User=root", "Acquire::Languages=none", "Acquire::Retries=1",
                       "Acquire::http::Timeout=20", "APT::Update::Error-Mode=any"):
            apt += ["-o", option]
        _run(*apt, "update")
        _run(*apt, "download", "docker-cli", directory=place)
        package, = place.glob("docker-cli_*.deb")
        _run("dpkg-deb", "-x", package, place / "tree")
        shutil.rmtree(CACHE / "current", ignore_errors=True)
        (place / "tree").chmod(0o755)
        (place / "tree").rename(CACHE / "current")
        os.utime(CACHE / "current")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _run(*command, directory="/"):
    """Outside the tests' namespaces, which have no network."""
    command = [*isolation.outside(), "env", f"--chdir={directory}", "LC_ALL=C.UTF-8", *map(str, command)]
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS).stdout
