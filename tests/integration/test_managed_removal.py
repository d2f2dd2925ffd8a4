"""`rm` always ends, and then the state is clean: busy mounts, directories that were half removed by hand, plugins that do
not want to go; and the name is free again for whoever else has it."""

import os
import pathlib
import shutil
import signal
import subprocess

import pytest
from harness.managed import succeed
from harness.remains import Remains, assert_nothing_left, assert_state_clean
from harness.running import create_sample, enable_sample
from harness.waiting import wait_until

NAME = "acme/going"
FULL = f"{NAME}:latest"
#: Mounts a tmpfs for each volume, which appears on the host.
MOUNTING = {"propagatedMount": "/data", "linux": {"capabilities": ["CAP_SYS_ADMIN"]}}


@pytest.fixture
def keeper(broker):
    return broker(extra=["--live-restore=false"], timeout=30).start()


def directory_of(broker):
    return broker.state / "plugins" / broker.plugin(FULL)["Id"]


def remove(broker, remains):
    """rm -f ends, and then nothing is left."""
    succeed(broker.pluginctl("rm", "-f", NAME))
    assert broker.plugin(FULL) is None
    assert_gone(broker, remains)


def assert_gone(broker, remains):
    """No plugin is left, and nothing of those that there were; not after a restart either."""
    assert_nothing_left(remains)
    assert_state_clean(broker)
    broker.stop()
    broker.start()
    assert broker.plugins() == {}
    assert_state_clean(broker)
    assert_nothing_left(remains)


class Holder:
    """A process with the volume as its working directory and an open file in it; also one with a copy of all mounts."""

    def __init__(self, volume, *, namespace):
        command = ["sh", "-c", f"cd {volume}; exec 3> file; echo ready; exec sleep 1000"]
        if namespace:
            command = ["unshare", "--mount", "--propagation", "private", *command]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("namespace", [False, True], ids=["cwd-and-file", "mount-namespace"])
@pytest.mark.parametrize("crashed", [False, True], ids=["running", "crashed"])
def test_busy_mounts_do_not_keep_a_plugin(keeper, closing, namespace, crashed):
    remains = Remains(keeper)
    plugin = enable_sample(keeper, NAME, "tmpfs", MOUNTING)
    remains.note()
    for method, body in (("Create", {"Name": "v"}), ("Mount", {"Name": "v", "ID": "1"})):
        reply = keeper.call(NAME, f"VolumeDriver.{method}", body)
        assert reply.status == 200 and reply.json()["Err"] == "", reply
    volume = pathlib.Path(reply.json()["Mountpoint"])
    assert str(volume) in remains.mounts()
    holder = closing.add(Holder(volume, namespace=namespace))
    if crashed:
        os.kill(plugin["Pid"], signal.SIGKILL)
        wait_until(lambda: keeper.plugin(FULL)["Restarts"] == 1, "its restart")
    remove(keeper, remains)
    assert holder.process.poll() is None


HALVES = {
    "rootfs": lambda plugin: shutil.rmtree(plugin / "rootfs"),
    "files-of-the-rootfs": lambda plugin: shutil.rmtree(plugin / "rootfs" / "bin"),
    "config": lambda plugin: (plugin / "config.json").unlink(),
    "all-but-the-rootfs": lambda plugin: [path.unlink() for path in plugin.iterdir() if path.is_file()],
    "all": shutil.rmtree,
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("running", [False, True], ids=["disabled", "running"])
def test_what_was_half_removed_by_hand_is_removed_whole(keeper, half, running):
    remains = Remains(keeper)
    if running:
        pid = enable_sample(keeper, NAME)["Pid"]
    else:
        create_sample(keeper, NAME)
    remains.note()
    HALVES[half](directory_of(keeper))
    if running:
        assert keeper.call(NAME, "VolumeDriver.List").status == 200
        assert keeper.plugin(FULL)["Pid"] == pid
    elif half != "config" and half != "all-but-the-rootfs":
        failed = keeper.pluginctl("enable", NAME)
        assert failed.returncode == 1 and NAME in failed.stderr, failed
        assert_nothing_left(remains)
    remove(keeper, remains)


@pytest.mark.parametrize("half", ["rootfs", "all-but-the-rootfs", "all"])
def test_what_was_half_removed_while_brokerd_was_down_is_removed_whole(keeper, half):
    remains = Remains(keeper)
    enable_sample(keeper, NAME)
    remains.note()
    plugin = directory_of(keeper)
    keeper.stop()
    HALVES[half](plugin)
    keeper.start()
    if keeper.plugin(FULL) is not None:
        remove(keeper, remains)
    assert_state_clean(keeper)
    assert_nothing_left(remains)


def test_a_plugin_whose_rootfs_goes_while_it_crashes_is_wanted_failed_and_removable(keeper):
    remains = Remains(keeper)
    plugin = enable_sample(keeper, NAME)
    remains.note()
    shutil.rmtree(directory_of(keeper) / "rootfs")
    os.kill(plugin["Pid"], signal.SIGKILL)
    failed = keeper.wait_state(FULL, "failed", 20)
    assert failed["Enabled"] is True and "rootfs" in failed["Reason"] and "install it again" in failed["Reason"], failed
    remove(keeper, remains)


def test_what_cannot_hear_sigterm_is_removed_by_force(keeper):
    """One ignores the signal and has a child, the other one is frozen; both at once, for it takes the whole grace."""
    remains, frozen = Remains(keeper), "acme/frozen"
    enable_sample(keeper, NAME, "ignore-term fork")
    os.kill(enable_sample(keeper, frozen)["Pid"], signal.SIGSTOP)
    remains.note()
    removal = subprocess.Popen([str(part) for part in keeper.pluginctl_command("rm", "-f", frozen)], stdout=subprocess.DEVNULL)
    succeed(keeper.pluginctl("rm", "-f", NAME))
    assert removal.wait(60) == 0
    assert_gone(keeper, remains)


def test_removal_takes_what_a_killed_brokerd_left(keeper):
    """Killed in the midst of `rm`; the next one finishes or knows the plugin still."""
    remains = Remains(keeper)
    enable_sample(keeper, NAME, "tmpfs", MOUNTING)
    remains.note()
    client = keeper.begin("rm", "-f", NAME)
    wait_until(lambda: keeper.plugin(FULL) is None or not keeper.plugin(FULL)["Enabled"], "the beginning of its removal")
    keeper.kill()
    client.wait(60)
    keeper.start()
    if keeper.plugin(FULL) is not None:
        succeed(keeper.pluginctl("rm", "-f", NAME))
    assert_state_clean(keeper)
    wait_until(lambda: remains.all() == {}, lambda: f"clean host: {remains.all()}")


# -- names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["legacy", "managed"])
def test_a_managed_plugin_wins_its_name_and_gives_it_back(keeper, mobyfs, first):
    legacy = mobyfs()
    if first == "managed":
        enable_sample(keeper, NAME)
    spec = keeper.define(NAME, legacy.url)
    if first == "legacy":
        keeper.wait_state(NAME, "active")
        assert keeper.call(NAME, "VolumeDriver.List").status == 200
        enable_sample(keeper, NAME)
    asked = len(legacy.calls("VolumeDriver.List"))
    wait_until(lambda: keeper.findings(FULL), "a finding")
    assert [(finding["Problem"], finding["Severity"], finding["File"]) for finding in keeper.findings(FULL)] == [
        ("shadowed", "warning", str(spec))]
    assert str(spec) in succeed(keeper.pluginctl("doctor"))
    shown = keeper.plugin(NAME)
    assert (shown["Kind"], [shadow["File"] for shadow in shown["Shadows"]]) == ("managed", [str(spec)])
    assert str(spec) in succeed(keeper.pluginctl("inspect", NAME))
    assert keeper.call(NAME, "VolumeDriver.List").status == 200
    assert len(legacy.calls("VolumeDriver.List")) == asked
    succeed(keeper.pluginctl("disable", NAME))
    wait_until(lambda: NAME in keeper.plugins() and keeper.plugins()[NAME]["State"] == "active", "the legacy one")
    wait_until(lambda: keeper.call(NAME, "VolumeDriver.List").status == 200, "an answer")
    assert len(legacy.calls("VolumeDriver.List")) > asked
    assert keeper.findings(FULL) == []


def test_a_legacy_plugin_that_changes_or_goes_while_it_has_lost_its_name(keeper, mobyfs):
    legacy = mobyfs()
    spec = keeper.define(NAME, "tcp://127.0.0.1:1")
    enable_sample(keeper, NAME)
    wait_until(lambda: keeper.findings(FULL), "a finding")
    keeper.define(NAME, legacy.url)
    keeper.define("other", legacy.url)
    keeper.wait_state("other", "active")  # by then the change has been seen
    succeed(keeper.pluginctl("disable", NAME))
    wait_until(lambda: keeper.plugins().get(NAME, {}).get("State") == "active", "the legacy one")
    succeed(keeper.pluginctl("enable", NAME))
    spec.unlink()
    wait_until(lambda: keeper.findings(FULL) == [], "no finding")
    succeed(keeper.pluginctl("rm", "-f", NAME))
    assert NAME not in keeper.plugins()
    assert not keeper.published(NAME).exists()
