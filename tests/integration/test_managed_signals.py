"""Signals to brokerd while plugins start, and what a plugin and its shim hold of brokerd's."""

import concurrent.futures
import contextlib
import os
import pathlib
import random
import signal
import subprocess

from harness.managed import succeed
from harness.remains import Remains, assert_nothing_left, assert_nothing_runs
from harness.running import create_sample, enable_sample
from harness.waiting import wait_until

NAMES = [f"acme/{letter}:latest" for letter in "abcd"]


def hammer(broker, count, signals):
    """Two clients for each plugin enable, disable and look at it while brokerd gets the signals; never a lost answer."""
    def client(name, seed):
        chance = random.Random(seed)
        for _ in range(count):
            result = broker.pluginctl(*chance.choice((("enable", name), ("disable", "-f", name), ("inspect", name))))
            assert result.returncode in (0, 1), f"{result.args}: {result.returncode} {result.stderr}"
            assert "could not be enabled" not in result.stderr or "stopped" in result.stderr, result.stderr
    with concurrent.futures.ThreadPoolExecutor(2 * len(NAMES)) as pool:
        clients = [pool.submit(client, name, seed) for name in NAMES for seed in (1, 2)]
        while not all(done.done() for done in clients):
            for number in signals:
                broker.process.signal(number)
            concurrent.futures.wait(clients, timeout=0.05)
        for done in clients:
            done.result()


def agree(broker):
    shown = [broker.plugin(name) for name in NAMES]
    return all(plugin["State"] == ("running" if plugin["Enabled"] else "disabled") for plugin in shown)


def test_reloads_while_two_clients_change_each_plugin(broker):
    broker = broker().start()
    for name in NAMES:
        create_sample(broker, name)
    hammer(broker, 5, [signal.SIGHUP])
    wait_until(lambda: agree(broker), lambda: f"{broker.plugins()}", 20)
    remains = Remains(broker)
    for name in NAMES:
        succeed(broker.pluginctl("rm", "-f", name))
    wait_until(lambda: not remains.all(), lambda: f"nothing to be left: {remains.all()}", 10)
    assert_nothing_left(remains)


def test_a_stop_while_plugins_start_is_not_undone_by_a_reload(broker):
    broker = broker(extra=["--live-restore=false"]).start()
    for name in NAMES:
        enable_sample(broker, name)
    remains = Remains(broker)
    remains.note()
    broker.stop()
    broker.start()  # they are starting now
    broker.process.signal(signal.SIGTERM)
    while broker.process.running:
        broker.process.signal(signal.SIGHUP)
        with contextlib.suppress(subprocess.TimeoutExpired):
            broker.process.wait(0.005)
    assert_nothing_runs(remains)
    broker.start()
    wait_until(lambda: agree(broker), lambda: f"{broker.plugins()}", 20)


def test_plugins_and_shims_inherit_nothing(broker):
    broker = broker().start()
    plugin = enable_sample(broker, NAMES[0])
    shim = int(pathlib.Path(f"/proc/{plugin['Pid']}/stat").read_text().rpartition(")")[2].split()[1])
    assert b"brokerd-shim" in pathlib.Path(f"/proc/{shim}/cmdline").read_bytes()
    held = {fd: os.readlink(f"/proc/{shim}/fd/{fd}") for fd in os.listdir(f"/proc/{shim}/fd")}
    bundle = f"{broker.runtime}/bundles/{plugin['Id']}"
    logs = f"{broker.state}/logs/{plugin['Id']}"
    allowed = ("/dev/null", "pipe:", "anon_inode:", bundle, logs, "/sys/fs/cgroup/")
    assert [path for path in held.values() if not path.startswith(allowed)] == [], held
    its = {fd: os.readlink(f"/proc/{plugin['Pid']}/fd/{fd}") for fd in ("0", "1", "2")}
    assert its["0"] == "/dev/null" and its["1"].startswith("pipe:") and its["2"].startswith("pipe:"), its
    others = [os.readlink(f"/proc/{plugin['Pid']}/fd/{fd}") for fd in os.listdir(f"/proc/{plugin['Pid']}/fd") if int(fd) > 2]
    assert [path for path in others if not path.startswith(("socket:", "anon_inode:"))] == [], others
    succeed(broker.pluginctl("rm", "-f", NAMES[0]))  # plugins outlive brokerd
