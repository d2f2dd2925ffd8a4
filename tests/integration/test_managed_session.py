"""The documentation's session with a volume plugin, from the registry to its removal, with unmodified engines.

The plugin is rclone with real FUSE mounts in its propagated mount; the engines find it as a socket, and know nothing of brokerd.
"""

import json
import os
import pathlib
import subprocess

import pytest
from harness.managed import succeed
from harness.rclone_plugin import make_plugin_of_rclone, mounts_below
from harness.waiting import wait_until

NAME = "acme/rclone"

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="there is no /dev/fuse")


@pytest.fixture
def installed(engine_broker, registry, directory):
    """A broker that has installed the plugin as a user does, and the directory with its files."""
    broker = engine_broker(timeout=30).start()
    full = f"{registry.host}/{NAME}"
    succeed(broker.pluginctl("create", full, make_plugin_of_rclone(directory / "image")))
    succeed(broker.pluginctl("push", full))
    succeed(broker.pluginctl("rm", full))
    files = directory / "files"
    files.mkdir()
    said = subprocess.run(broker.pluginctl_command("install", "--alias", NAME, full, f"data.source={files}"), input="y\n",
                          capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, f"{said.stdout}{said.stderr}{broker.pluginctl('logs', NAME).stderr}"
    for line in (f'Plugin "{full}" is requesting the following privileges:', " - network: [host]", " - device: [/dev/fuse]",
                 " - capabilities: [CAP_SYS_ADMIN]"):
        assert line in said.stdout
    yield broker, files
    if broker.plugin(NAME) is not None:  # a test that failed in the middle; the plugin would outlive brokerd
        broker.pluginctl("rm", "--force", NAME)


def use_a_volume(engine, files):
    engine.create_volume(NAME, "vol", ["remote=/remote"])
    assert "vol" in engine.volumes()
    assert engine.run("vol", "echo from the container > /v/file; cat /v/file") == "from the container\n"
    assert (files / "file").read_text() == "from the container\n"
    assert engine.run("vol", "cat /v/file") == "from the container\n"


def leave_nothing(broker):
    plugin = broker.plugin(NAME)
    succeed(broker.pluginctl("disable", NAME))
    succeed(broker.pluginctl("wait", NAME, "--for=disabled", "--timeout", 20))
    assert not os.path.exists(f"/proc/{plugin['Pid']}")
    assert "disabled" in succeed(broker.pluginctl("ls"))
    assert mounts_below(broker.state) == []
    succeed(broker.pluginctl("rm", NAME))
    assert broker.plugin(f"{NAME}:latest") is None
    assert not (broker.state / "plugins" / plugin["Id"]).exists()
    assert not broker.engine_socket(NAME).exists()


def test_the_session_with_docker(installed, dockerd):
    broker, files = installed
    succeed(broker.pluginctl("wait", NAME, "--for=healthy", "--timeout", 20))
    assert f"{NAME}:latest" in succeed(broker.pluginctl("ls", "--filter", "state=running", "-q"))
    assert broker.engine_socket(NAME).exists()
    engine = dockerd()
    use_a_volume(engine, files)
    engine.remove_volume("vol")
    leave_nothing(broker)


def test_the_session_with_podman(installed, podman):
    broker, files = installed
    engine = podman({NAME: broker.engine_socket(NAME)})
    use_a_volume(engine, files)
    engine.remove_volume("vol")
    leave_nothing(broker)


def test_a_container_keeps_its_plugin_from_being_disabled(installed, dockerd):
    broker, files = installed
    engine = dockerd()
    engine.create_volume(NAME, "vol", ["remote=/remote"])
    container = engine.run("vol", "exec busybox sleep 1000", "--detach").strip()
    wait_until(lambda: any(pathlib.Path(path).name == "vol" for path in mounts_below(broker.state)), "the volume to be mounted", 20)
    for command in ("disable", "rm"):
        refused = broker.pluginctl(command, NAME)
        assert refused.returncode == 1, refused
        assert refused.stdout == ""
    process = json.loads(engine.docker("inspect", container).stdout)[0]["State"]["Pid"]
    refused = broker.pluginctl("disable", NAME)
    assert f"plugin {NAME}:latest is in use by a container of " in refused.stderr
    assert f"(pid {process})" in refused.stderr
    assert broker.plugin(NAME)["State"] == "running"
    assert engine.docker("exec", container, "/bin/sh", "-c", "echo still > /v/file; cat /v/file").stdout == "still\n"
    engine.docker("rm", "--force", container)
    engine.remove_volume("vol")
    leave_nothing(broker)
