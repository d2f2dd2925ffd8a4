"""`docker plugin` says the same to brokerd as to dockerd: every subcommand, every flag, every error, with Debian 12's command
line, and in a long run with the newest one that Debian has.

What differs is in docker_cli/DIFFERENCES.md, with its reason. The test fails for a difference that is not there, and for one that is
there and is none any more. BROKERD_WRITE_DIFFERENCES=1 writes the file anew from docker_cli/differences.py.
"""

import concurrent.futures
import os
import pathlib
import subprocess

import pytest
from docker_cli.differences import compare, document, listed
from docker_cli.plugins import make_plugins
from docker_cli.steps import STEPS
from harness import docker_commands, unix_http
from harness.docker_cli import Side

DOCUMENT = pathlib.Path(__file__).parent / "docker_cli" / "DIFFERENCES.md"


@pytest.fixture(params=docker_commands.NAMES)
def client(request):
    """Which command line, and its program."""
    return request.param, docker_commands.program(request.param)


@pytest.fixture
def sides(directory, closing, bare_dockerd, broker, client):
    """dockerd's, which does not outlive the test, and brokerd's."""
    plugins = make_plugins(directory / "plugins")
    broker = broker(extra=["--live-restore=false"], timeout=20).start()

    def use_volume(name, claims):
        docker.docker("volume", "create", "--driver", name, "held")
        claims.callback(docker.docker, "volume", "rm", "--force", "held")

    def take_lease(name, claims):
        connection = unix_http.Connection(broker.control)
        connection.request("POST", f"/broker/v1/plugins/{unix_http.quote(name)}/lease")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.readline()
        claims.callback(connection.close)
        claims.callback(answer.close)

    docker = closing.add(Side(directory / "d", client[1], bare_dockerd.socket, plugins, use_volume))
    return docker, closing.add(Side(directory / "b", client[1], broker.control, plugins, take_lease))


def test_the_script_is_whole():
    names = [step.name for step in STEPS]
    assert len(names) == len(set(names)) >= 100
    assert listed("debian") | listed("newest") <= set(names)


def test_docker_plugin_says_what_it_says_to_dockerd(client, sides):
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        docker, broker = threads.map(lambda side: side.run(STEPS), sides)
    found = compare(docker, broker)
    print(f"{subprocess.run([client[1], '--version'], capture_output=True, text=True, check=True).stdout.strip()}: "
          f"{len(STEPS)} commands, {len(STEPS) - len(found)} answered alike")
    unlisted = {name: found[name] for name in found if name not in listed(client[0])}
    assert not unlisted, "".join(f"\n{name}:\n  " + "\n  ".join(lines) for name, lines in unlisted.items())
    alike = listed(client[0]) - set(found)
    assert not alike, f"listed in docker_cli/differences.py, and no difference (any more): {alike}"
    if client[0] == "debian":
        if os.environ.get("BROKERD_WRITE_DIFFERENCES"):
            DOCUMENT.write_text(document(STEPS, found))
        assert DOCUMENT.read_text() == document(STEPS, found), "write it anew: BROKERD_WRITE_DIFFERENCES=1"
