"""Plugins that cannot start, or misbehave once they run: `enable` tells the truth and the cause, and nothing is left."""

import os
import socket
import struct
import time

import pytest
from harness.managed import succeed
from harness.remains import Remains, assert_nothing_left
from harness.running import make_sample
from harness.waiting import wait_until

NAME = "acme/rude"
FULL = f"{NAME}:latest"
#: What a failed enable may not wait for where the cause is known at once; far more than it takes.
LONG = 600
SHORT = 1


def setting(**variables):
    return {"env": [{"name": name, "description": "", "settable": ["value"], "value": value}
                    for name, value in ({"BEHAVIOUR": "", "VOLUMES": "/data"} | variables).items()]}


@pytest.fixture
def rude(broker):
    """Makes plugins of the name NAME in a broker that takes them along when it ends; in the end nothing may be left."""
    broker = broker(extra=["--live-restore=false"], timeout=30).start()
    plugins = Rude(broker)
    yield plugins
    if broker.process.running:
        if broker.plugin(FULL) is not None:
            succeed(broker.pluginctl("rm", "-f", NAME))
        assert_nothing_left(plugins.remains)


class Rude:
    def __init__(self, broker):
        self.broker = broker
        self.remains = Remains(broker)

    def create(self, behaviour="", config=None, files=None, change=lambda root: None):
        """`change` is called with the image's rootfs."""
        image = make_sample(self.broker.directory / "image", behaviour, config, files)
        change(image / "rootfs")
        succeed(self.broker.pluginctl("create", NAME, image))
        self.remains.note()
        return self

    def set(self, *arguments):
        succeed(self.broker.pluginctl("set", NAME, *arguments))
        return self

    def enable(self):
        succeed(self.broker.pluginctl("enable", NAME))
        return self.broker.wait_state(FULL, "running")

    def refuse(self, *causes, timeout=LONG):
        """Enabling fails with these words in its message; nothing else has changed."""
        began = time.monotonic()
        failed = self.broker.pluginctl("enable", "--timeout", timeout, NAME, timeout=120)
        assert failed.returncode == 1 and failed.stdout == "", failed
        assert time.monotonic() - began < LONG / 10, "the end of the timeout was waited for"
        assert NAME in failed.stderr and len(failed.stderr.splitlines()) == 1, failed.stderr
        for cause in causes:
            assert cause in failed.stderr, failed.stderr
        plugin = self.broker.plugin(FULL)
        assert (plugin["State"], plugin["Enabled"], plugin["Pid"]) == ("disabled", False, 0), plugin
        assert_nothing_left(self.remains)

    @property
    def root(self):
        return self.broker.state / "plugins" / self.broker.plugin(FULL)["Id"] / "rootfs"


def foreign_elf():
    """The head of a program for another machine."""
    machine = 243 if os.uname().machine != "riscv64" else 62  # RISC-V, or x86-64
    ident = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    return ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x10078, 64, 0, 0, 64, 56, 1, 64, 0, 0) + bytes(200)


def replace_program(content, mode=0o755):
    def change(root):
        program = root / "bin" / "sample"
        program.unlink()
        if content is not None:
            program.write_bytes(content)
            program.chmod(mode)
    return change


# -- what ends by itself, and what cannot be started ----------------------------------------------------------------------


@pytest.mark.parametrize("behaviour, causes", [
    ("exit=7", ["exited with status 7", "was told to exit"]),
    ("exit=0", ["exited with status 0"]),
    ("bad-manifest", ["JSON"]),
])
def test_what_ends_or_answers_nonsense_is_refused_at_once(rude, behaviour, causes):
    rude.create(behaviour).refuse(*causes)
    rude.set("BEHAVIOUR=").enable()


@pytest.mark.parametrize("content, mode, causes", [
    (foreign_elf(), 0o755, ["/bin/sample", "another architecture"]),
    (None, 0, ["/bin/sample", "not in its rootfs"]),
    (b"\x7fELF", 0o644, ["/bin/sample", "not an executable file"]),
    (b"#!/bin/absent -x\n", 0o755, ["/bin/sample", "interpreter"]),
    (b"echo no interpreter\n", 0o755, ["/bin/sample", "no program at all"]),
], ids=["foreign", "missing", "not-executable", "no-interpreter", "no-shebang"])
def test_a_program_that_cannot_run_is_named_with_the_cause(rude, content, mode, causes):
    rude.create(change=replace_program(content, mode)).refuse(*causes)


@pytest.mark.parametrize("config, causes", [
    ({"linux": {"devices": [{"name": "d", "path": "/dev/absent-device"}]}}, ["/dev/absent-device"]),
    ({"mounts": [{"name": "m", "type": "bind", "options": ["rbind"], "source": "/absent/source", "destination": "/data"}]},
     ["/absent/source"]),
    ({"network": {"type": "bridge"}}, ["bridge"]),
    ({"entrypoint": ["/data"]}, ["/data", "not an executable file"]),
], ids=["device", "mount", "bridge", "directory"])
def test_what_the_config_asks_for_and_the_host_lacks_is_named(rude, config, causes):
    rude.create(config=config).refuse(*causes)


@pytest.mark.parametrize("behaviour, config, causes", [
    ("never-listen", {}, ["/run/docker/plugins/sample.sock"]),
    ("freeze", {}, ["/run/docker/plugins/sample.sock"]),
    ("", setting(SOCKET="/run/docker/plugins/other.sock"), ["/run/docker/plugins/other.sock", "sample.sock"]),
    ("", setting(SOCKET="/data/x.sock"), ["/data/x.sock", "sample.sock"]),
    ("", setting(SOCKET="/data/x.sock") | {"network": {"type": "host"}}, ["/data/x.sock", "sample.sock"]),
], ids=["never-listens", "freezes", "other-name", "own-network", "host-network"])
def test_what_does_not_answer_within_the_timeout_is_told_where_it_listens(rude, behaviour, config, causes):
    rude.create(behaviour, config).refuse(*causes, timeout=SHORT)


# -- the OCI runtime ------------------------------------------------------------------------------------------------------

RUNTIMES = {
    "missing": (None, ["no OCI runtime", "--oci-runtime"]),
    "fails": ("echo 'the kernel is out of cheese' >&2; exit 3", ["out of cheese"]),
    "silent": ("exit 3", ["status 3"]),
    "garbage": ("head -c 30000 /dev/urandom; head -c 30000 /dev/urandom >&2; exit 1", ["runtime"]),
    "lies": ("exit 0", ["does not tell its process"]),
    "foreign-process": ('while [ "$1" ]; do [ "$1" = --pid-file ] && echo 1 > "$2"; shift; done', ["does not tell its process"]),
    "killed": ("kill -9 $$", ["signal 9"]),
    "hangs": ("exec sleep 1000", ["in time"]),
}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.long] if kind == "hangs" else []) for kind in RUNTIMES])
def test_a_runtime_that_is_broken_is_named_and_repaired_without_a_restart(broker, directory, kind):
    script, causes = RUNTIMES[kind]
    program = directory / "runtime"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    broker = broker(extra=["--live-restore=false", "--oci-runtime", program], timeout=30).start()
    rude = Rude(broker).create()
    rude.refuse(*causes, timeout=SHORT if kind == "hangs" else LONG)
    program.unlink(missing_ok=True)
    program.symlink_to("/usr/sbin/runc")
    rude.enable()
    succeed(broker.pluginctl("disable", NAME))
    assert_nothing_left(rude.remains)


# -- limits ---------------------------------------------------------------------------------------------------------------


def test_a_plugin_that_eats_its_memory_is_killed_and_the_reason_is_memory(rude):
    rude.create("eat-memory").set("--memory", "32m").refuse("memory limit")
    rude.set("BEHAVIOUR=eat-on-create").enable()
    reply = rude.broker.call(NAME, "VolumeDriver.Create", {"Name": "v"}, timeout=30)
    assert reply.status == 502, reply
    again = wait_until(lambda: (plugin := rude.broker.plugin(FULL))["Restarts"] == 1 and plugin, "a restart")
    assert "memory limit" in again["LastExit"], again
    assert rude.broker.wait_state(FULL, "running")
    assert rude.broker.call(NAME, "VolumeDriver.List").status == 200


def test_a_plugin_that_wants_more_threads_than_it_may_have_says_so(rude):
    rude.create("threads=64").set("--pids", "16").refuse("exited with status 1", "cannot make thread")
    rude.set("--pids", "0").enable()


# -- once it runs ---------------------------------------------------------------------------------------------------------


def test_a_plugin_without_a_manifest_implements_what_its_config_declares(rude):
    rude.create("no-manifest")
    assert rude.enable()["Implements"] == ["VolumeDriver"]
    assert rude.broker.call(NAME, "VolumeDriver.List").status == 200


def test_a_plugin_that_ends_after_each_handshake_is_kept_with_growing_pauses(rude):
    """It had answered: that is what enable waits for. From then on it is the operator's wish against its habit."""
    rude.create("exit-activated=5")
    succeed(rude.broker.pluginctl("enable", NAME))
    crashing = wait_until(lambda: (plugin := rude.broker.plugin(FULL))["Restarts"] >= 3 and plugin, "restarts", 30)
    assert crashing["Enabled"] is True
    waiting = rude.broker.wait_state(FULL, "restarting")
    assert "exited with status 5" in waiting["Reason"] and "once it is active" in waiting["Reason"], waiting
    assert waiting["LastExit"].startswith("exited with status 5"), waiting
    wait_until(lambda: [finding for finding in rude.broker.findings(FULL) if "status 5" in finding["Cause"]], "a finding", 30)
    succeed(rude.broker.pluginctl("disable", NAME))
    assert_nothing_left(rude.remains)


def test_what_fails_at_boot_stays_wanted_and_tells_callers_why(rude):
    """It was well when it was enabled; then somebody changed its files."""
    rude.create()
    succeed(rude.broker.pluginctl("enable", "--timeout", SHORT, NAME))
    program = rude.root / "bin" / "sample"
    rude.broker.stop()
    program.rename(program.with_name("away"))
    rude.broker.start()
    failed = rude.broker.wait_state(FULL, "failed", 20)
    assert failed["Enabled"] is True and "/bin/sample" in failed["Reason"], failed
    reply = rude.broker.call(NAME, "VolumeDriver.List", timeout=60)
    assert reply.status == 503 and "/bin/sample" in reply.error, reply
    program.with_name("away").rename(program)
    rude.broker.wait_state(FULL, "running", 60)
    assert rude.broker.call(NAME, "VolumeDriver.List").status == 200


@pytest.mark.parametrize("trick", ["link", "fifo"])
def test_what_a_plugin_puts_in_its_sockets_place_is_not_followed(broker, directory, trick):
    """Whoever listens at a link's end would be sent the engine's calls, and a file system there may never answer."""
    rude = Rude(broker(extra=["--live-restore=false"]).start()).create()
    place = rude.broker.runtime / "exec" / rude.enable()["Id"] / "sample.sock"
    away = place.with_name("away")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(directory / "other.sock"))
        other.listen()
        other.setblocking(False)
        place.rename(away)
        if trick == "fifo":
            os.mkfifo(place)
        else:
            place.symlink_to(other.getsockname())
        cause = "it is no socket"
        wait_until(lambda: cause in (rude.broker.plugin(FULL)["Reason"] or ""), lambda: f"the reason: {rude.broker.plugin(FULL)}")
        reply = rude.broker.call(NAME, "VolumeDriver.List", timeout=30)
        assert reply.status == 504, reply  # it has waited for the plugin
        with pytest.raises(BlockingIOError):
            other.accept()
    away.rename(place)
    rude.broker.wait_state(FULL, "running")
    assert rude.broker.call(NAME, "VolumeDriver.List").status == 200
