"""Engine and brokerd go away, cleanly or not, while a container uses a volume of a managed plugin: nothing of it is lost.

The plugin is rclone with a real FUSE mount in its propagated mount; in the container a process reads from it all the time.
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import types

import pytest
from harness.build import BUILD
from harness.managed import run, succeed
from harness.rclone_plugin import make_plugin_of_rclone, mounts_below
from harness.remains import Remains, assert_nothing_left, assert_nothing_runs
from harness.running import make_sample, wait_gone
from harness.volume_reader import CONTENT, VolumeReader
from harness.waiting import wait_until

NAME = "acme/rclone"
BY_HAND = "cd851ce43a403"
PROGRAMS = ("daemon/brokerd", "daemon/shim/brokerd-shim")

needs_fuse = pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="there is no /dev/fuse")


@pytest.fixture
def plugin_in(directory, closing):
    """Installs and enables the plugin in a broker; a file for its volumes is there."""
    def make(broker):
        def end():  # it would outlive the broker
            if not broker.process.running:
                broker.start()
            broker.pluginctl("rm", "--force", NAME)
        closing.add(types.SimpleNamespace(close=end))
        broker.start()
        files = directory / "files"
        files.mkdir()
        (files / "file").write_text(CONTENT + "\n")
        succeed(broker.pluginctl("create", NAME, make_plugin_of_rclone(directory / "image")))
        succeed(broker.pluginctl("set", NAME, f"data.source={files}"))
        succeed(broker.pluginctl("enable", NAME))
        return broker
    return make


@pytest.fixture
def in_use(directory, closing):
    """Starts a container that reads from a volume of the plugin."""
    def make(engine):
        engine.create_volume(NAME, "vol", ["remote=/remote"])
        return closing.add(VolumeReader(engine, "vol", directory / "record"))
    return make


@pytest.fixture(params=["docker", "podman"])
def engine_for(request):
    """Starts an engine that finds the plugin."""
    start = request.getfixturevalue("dockerd" if request.param == "docker" else "podman")
    return lambda broker: start("--live-restore") if request.param == "docker" else start({NAME: broker.engine_socket(NAME)})


def copy_of_brokerd(directory):
    """Another installation of it, with its shim."""
    for program in PROGRAMS:
        (directory / program).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(BUILD / program, directory / program)
    return directory / PROGRAMS[0]


def running(broker):
    """The plugin, which runs; as `ls` has it, too."""
    plugin = broker.wait_state(f"{NAME}:latest", "running", 30)
    assert succeed(broker.pluginctl("ls", "--filter", "state=running", "--format", "{{.Name}}")).split() == [f"{NAME}:latest"]
    return plugin["Pid"], plugin["Restarts"]


def read_once(engine):
    return engine.run("vol", "cat /v/file")


def assert_usable(broker, engine, reader, was):
    """All is as it was, and a new container can have the volume as well."""
    assert running(broker) == was
    reader.wait_for_reads()
    reader.assert_running()
    assert read_once(engine) == CONTENT + "\n"
    assert reader.failures() == []


def waiting(broker):
    """What nobody has read at the plugin's published socket: connections in its backlog, and bytes in those that engines keep."""
    published = (str(broker.published(NAME)), str(broker.engine_socket(NAME)))
    sockets = [line.split() for line in run("ss", "-xanH").splitlines()]
    return sum(int(unread) for _kind, _state, unread, _unsent, path, *_rest in sockets if path in published)


def read_while_away(broker, engine):
    """A container is started while brokerd is not there; its engine's call waits, and brokerd comes back."""
    with concurrent.futures.ThreadPoolExecutor() as thread:
        said = thread.submit(read_once, engine)
        try:
            wait_until(lambda: waiting(broker) > 0, "call of the engine that waits", 30)
        finally:
            broker.start()
        assert said.result() == CONTENT + "\n"


def leave_nothing(broker, engine, reader):
    reader.close()
    engine.remove_volume("vol")
    remains = Remains(broker)
    remains.note()
    succeed(broker.pluginctl("disable", NAME))
    assert mounts_below(broker.state) == []
    succeed(broker.pluginctl("rm", NAME))
    assert_nothing_left(remains)
    assert broker.store is None or broker.store.sockets() == [], broker.store.sockets()


@needs_fuse
def test_dockerd_is_restarted(engine_broker, plugin_in, dockerd, in_use):
    broker = plugin_in(engine_broker(timeout=30))
    was = running(broker)
    engine = dockerd("--live-restore")
    reader = in_use(engine)
    for end in (engine.stop, engine.kill):
        end()
        reader.wait_for_reads()
        engine.start()
        assert_usable(broker, engine, reader, was)
    leave_nothing(broker, engine, reader)


@needs_fuse
@pytest.mark.slow
def test_brokerd_is_restarted(engine_broker, plugin_in, engine_for, in_use, directory):
    """By SIGTERM, with -9, and as another installation of it in place of the old one."""
    broker = engine_broker(timeout=30).keep_sockets()
    broker.program = copy_of_brokerd(directory / "old")
    plugin_in(broker)
    was = running(broker)
    assert was[1] == 0
    engine = engine_for(broker)
    reader = in_use(engine)

    def upgrade():
        broker.stop()
        broker.program = BUILD / PROGRAMS[0]
        shutil.rmtree(directory / "old")

    for end in (broker.stop, broker.kill, upgrade):
        end()
        reader.wait_for_reads()
        read_while_away(broker, engine)
        assert_usable(broker, engine, reader, was)
    leave_nothing(broker, engine, reader)


def kill_both(broker, engine, reader):
    engine.kill()
    broker.kill()
    reader.wait_for_reads()


@needs_fuse
def test_both_are_killed_and_brokerd_comes_back_first(engine_broker, plugin_in, dockerd, in_use):
    """As the unit orders them; and with no descriptor store, as where brokerd is not below systemd."""
    broker = plugin_in(engine_broker(timeout=30))
    was = running(broker)
    engine = dockerd("--live-restore")
    reader = in_use(engine)
    kill_both(broker, engine, reader)
    for start in (broker.start, engine.start):
        start()
        reader.wait_for_reads()
    assert_usable(broker, engine, reader, was)
    leave_nothing(broker, engine, reader)


@needs_fuse
def test_both_are_killed_and_dockerd_comes_back_first(engine_broker, plugin_in, dockerd, in_use):
    """It asks for the volumes of its containers before anything else, and waits until brokerd is there."""
    broker = plugin_in(engine_broker(timeout=30).keep_sockets())
    was = running(broker)
    engine = dockerd("--live-restore")
    reader = in_use(engine)
    kill_both(broker, engine, reader)
    engine.launch()
    wait_until(lambda: waiting(broker) > 0, "call of the engine that waits", 30)
    reader.wait_for_reads()
    broker.start()
    engine.wait_ready()
    assert_usable(broker, engine, reader, was)
    leave_nothing(broker, engine, reader)


@needs_fuse
def test_disable_is_refused_and_can_be_forced(engine_broker, plugin_in, dockerd, in_use):
    broker = plugin_in(engine_broker(timeout=30))
    was = running(broker)
    engine = dockerd()
    reader = in_use(engine)
    refused = broker.pluginctl("disable", NAME)
    assert refused.returncode == 1
    assert f"in use by a container of sh (pid {reader.pid})" in refused.stderr
    assert_usable(broker, engine, reader, was)
    succeed(broker.pluginctl("disable", "--force", NAME))
    assert mounts_below(broker.state) == []
    wait_gone(was[0])
    reader.wait_for_failures()
    reader.assert_running()
    # Once it is enabled again, all can be had again, and what is left of the old container is no hindrance. (podman would
    # have to be told first: it asks for a mount only for the first container that uses a volume.)
    succeed(broker.pluginctl("enable", NAME))
    assert read_once(engine) == CONTENT + "\n"
    leave_nothing(broker, engine, reader)


@needs_fuse
def test_without_live_restore(engine_broker, plugin_in, dockerd, in_use):
    broker = plugin_in(engine_broker(timeout=30, extra=["--live-restore=false"]))
    remains = Remains(broker)
    remains.note()
    engine = dockerd("--live-restore")
    reader = in_use(engine)
    pid, _ = running(broker)
    broker.stop()
    assert remains.sockets() != []
    assert_nothing_runs(remains)
    reader.wait_for_failures()
    broker.start()
    assert running(broker)[0] != pid
    assert read_once(engine) == CONTENT + "\n"
    reader.assert_running()
    leave_nothing(broker, engine, reader)


def make_by_hand(root, directory, enabled):
    """The documentation's steps 1 to 5, for a plugin that is to run."""
    image = make_sample(directory / "image")
    shutil.copytree(image, root / BY_HAND, symlinks=True)
    (root / BY_HAND / "plugin-settings.json").write_text('{"Devices": null, "Args": null, "Env": [], "Mounts": []}')
    inventory = json.loads((root / "plugins.json").read_text()) if (root / "plugins.json").exists() else {}
    inventory[BY_HAND] = {"plugin": {
        "Config": json.loads((image / "config.json").read_text()), "Settings": {"Devices": None, "Args": None, "Env": [], "Mounts": []},
        enabled: True, "Tag": "latest", "Name": "vieux/sample", "Id": BY_HAND}}
    (root / "plugins.json").write_text(json.dumps(inventory))


@pytest.mark.parametrize("enabled", ["Enabled", "Active"])
@pytest.mark.parametrize("step_six", ["restart", "reload"])
def test_a_plugin_made_by_hand_is_started(broker, directory, step_six, enabled):
    broker = broker().start()
    root = pathlib.Path(broker.state) / "plugins"
    try:
        if step_six == "restart":
            broker.stop()
        make_by_hand(root, directory, enabled)
        if step_six == "restart":
            broker.start()
        else:
            broker.reload()
        broker.wait_state("vieux/sample:latest", "running", 20)
        assert broker.call("vieux/sample", "VolumeDriver.List").json()["Volumes"] == []
        assert succeed(broker.pluginctl("ls", "--filter", "state=running", "--format", "{{.Name}}")).split() == ["vieux/sample:latest"]
        remains = Remains(broker)
        remains.note()
        succeed(broker.pluginctl("disable", "vieux/sample"))
        succeed(broker.pluginctl("rm", "vieux/sample"))
        assert_nothing_left(remains)
    finally:
        broker.pluginctl("rm", "--force", "vieux/sample")
