"""The newest docker command line that Debian has: from the archive that this machine's apt uses, by apt, which verifies
it. apt's lists and the package go into a directory of their own; nothing is installed, and the machine's apt is not told.

Debian goes on, and these tests must not fail because of it: a version that nobody has looked at is named, and skipped.

BROKERD_TEST_CACHE: where, else /var/cache/brokerd-tests. BROKERD_ANY_DOCKER=1: also a version that is not in KNOWN.
"""

import fcntl
import functools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from . import isolation

CACHE = pathlib.Path(os.environ.get("BROKERD_TEST_CACHE", "/var/cache/brokerd-tests")) / "docker-cli"
SUITE = "sid"
KNOWN = ("28.5.2",)  # with which docker_cli/differences.py, and what other tests expect of docker, was found
PATIENCE_SECONDS = 240  # the lists alone are ten megabytes
LOOK_AGAIN_SECONDS = 7 * 24 * 3600


class Unavailable(Exception):
    """There is no such command line here, and why."""


def newest_docker_cli():
    """Its path. What was fetched is used for a week, and for longer where there is no newer one to be had. Needs root."""
    program, reason = _look()
    if program is None:
        raise Unavailable(reason)
    return program


@functools.cache  # who has waited for a network in vain does not wait for it once more
def _look():
    """(path, None), or (None, the reason why there is none)."""
    program = CACHE / "current" / "usr" / "bin" / "docker"
    try:
        reason = _fetch_alone(program)
        if not program.exists():
            return None, reason
        version = _version(program)
    except (Unavailable, OSError, subprocess.SubprocessError) as error:
        return None, str(error)
    if version not in KNOWN and "BROKERD_ANY_DOCKER" not in os.environ:
        return None, (f"docker-cli of {SUITE} is {version} now, and these tests know {', '.join(KNOWN)}: run them with BROKERD_ANY_DOCKER=1, "
                      "and add it to harness/newest_docker_cli.py")
    return program, None


def _fetch_alone(program):
    """One test process at a time; returns why nothing could be fetched."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_fresh(program):
            return None
        try:
            return _fetch()
        except Unavailable as reason:
            return str(reason)
        except (subprocess.SubprocessError, OSError) as error:
            return f"apt could not fetch docker-cli of {SUITE} (is there a network?): {_first_line(getattr(error, 'stderr', None) or str(error))}"


def _is_fresh(program):
    try:
        return time.time() - program.parents[2].stat().st_mtime < LOOK_AGAIN_SECONDS
    except OSError:
        return False


def _version(program):
    """Docker's, without Debian's addition. A program of tomorrow may want another C library than today's."""
    ran = subprocess.run([program, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    found = re.match(r"Docker version ([\d.]+)", ran.stdout)
    if ran.returncode != 0 or not found:
        raise Unavailable(f"docker-cli of {SUITE} does not run here: {_first_line(ran.stderr or ran.stdout)}")
    return found[1]


def _first_line(text):
    return (text.strip().splitlines() or ["it said nothing"])[0]


def _archive():
    """Where this machine's apt gets Debian from."""
    lines = _run("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)").splitlines()
    for codename, component, address in (line.split() for line in lines if line.count(" ") == 2):
        if (codename, component) == ("bookworm", "main"):
            return address
    raise Unavailable("apt on this machine knows no source of Debian 12 (bookworm main)")


def _fetch():
    """What was there stays until there is another one that runs."""
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
        _version(place / "tree" / "usr" / "bin" / "docker")
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
