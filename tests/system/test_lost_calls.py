"""How many calls brokerd's ends cost engines: restarts, reloads, kill -9, and the watchdog, which ends one that hangs. RELIABILITY.md
rows 10 and 17 are this file with BROKERD_SYSTEM_CALLS=1200; a usual run makes fewer calls and ends. By packaging/test --system only."""

import ctypes
import os
import pathlib
import tempfile
import threading
import time

import booted
import pytest
from call_load import CallLoad
from inside import (BUILD, add_plugin, assert_lost_only, end_of, host_pid, kill, main_pid, published, restart, short_watchdog, wait_another,
                    wait_running)

pytestmark = pytest.mark.skipif(not os.environ.get("BROKERD_SYSTEM_TESTS"), reason="runs with packaging/test --system")

NAME = "acme/called"
CALLS = int(os.environ.get("BROKERD_SYSTEM_CALLS", "75"))  # between two ends
ENDS = 10 if CALLS > 200 else 3  # of each kind
HANGS = 20 if CALLS > 200 else 2
WATCHDOG = 2  # seconds
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207


@pytest.fixture(scope="module")
def machine():
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as place:
        booted.install(BUILD, place)
        with booted.Machine(pathlib.Path(place), unified=bool(os.environ.get("BROKERD_SYSTEM_UNIFIED"))) as machine:
            add_plugin(machine, NAME)
            machine.succeed("pluginctl", "enable", NAME)
            yield machine


def end_again_and_again(machine, what, times, end, calls):
    """Each time a while after the last; prints how many calls failed and what the longest wait was. Returns the load, with what
    end() has returned each time."""
    plugin = wait_running(machine, NAME)
    ends = []
    with CallLoad(published(machine, plugin)[0]) as load:
        for _ in range(times):
            load.wait_for_more(calls)
            ends.append(end(machine))
        load.wait_for_more(calls)
    assert wait_running(machine, NAME)["Pid"] == plugin["Pid"]
    longest = max(end - begin for begin, end, _problem in load.calls)
    print(f"\n{times} times {what}: {len(load.calls)} calls, {len(load.lost)} lost, the longest took {longest:.2f} s")
    for _begin, _end, problem in load.lost:
        print(f"  lost: {problem}")
    return load, ends


def reload(machine):
    machine.succeed("systemctl", "reload", "brokerd.service")


def kill_brokerd(machine):
    """kill -9; returns between which moments it ended."""
    old = main_pid(machine)
    dead = kill(host_pid(machine, old))
    wait_another(machine, old)
    return dead


@pytest.mark.parametrize("what, end", [("restarted", restart), ("reloaded", reload)])
def test_no_call_is_lost_when_brokerd_is(machine, what, end):
    load, _ends = end_again_and_again(machine, what, ENDS, end, CALLS * 2 // 3)
    assert load.lost == []


def test_a_kill_costs_no_call_but_those_that_the_plugin_or_brokerd_was_at(machine):
    load, ends = end_again_and_again(machine, "killed", ENDS, kill_brokerd, CALLS * 2 // 3)
    assert_lost_only([load], ends)


def hang(machine):
    """The whole process, until the watchdog ends it. Returns the seconds from then until another one was ready, and when it ended."""
    old = main_pid(machine)
    begin = time.monotonic()
    dead = end_of(host_pid(machine, old), 19)  # SIGSTOP
    wait_another(machine, old)
    return time.monotonic() - begin, dead


class StoppedThread:
    """One thread of a process stands still, as a debugger has it; the others run on. Whoever stops it must be one thread, too."""

    def __init__(self, thread):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._thread = thread
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            assert self._libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())
        os.waitpid(thread, 0x40000000)  # __WALL: until it has stopped

    def wait_for_its_end(self):
        while not os.WIFEXITED(status := os.waitpid(self._thread, 0x40000000)[1]) and not os.WIFSIGNALED(status):
            assert self._libc.ptrace(7, self._thread, None, os.WSTOPSIG(status)) == 0  # PTRACE_CONT


def hang_core(machine):
    """The thread of the core loop alone."""
    old = main_pid(machine)
    core = host_pid(machine, old)
    begin = time.monotonic()
    StoppedThread(core).wait_for_its_end()
    dead = begin, time.monotonic()
    wait_another(machine, old)
    return time.monotonic() - begin, dead


@pytest.mark.parametrize("what, end", [("stopped", hang), ("stopped in its core loop", hang_core)])
def test_the_watchdog_replaces_a_brokerd_that_is(machine, what, end):
    short_watchdog(machine, WATCHDOG)
    restart(machine)
    try:
        load, ends = end_again_and_again(machine, what, HANGS, end, 50)
    finally:
        short_watchdog(machine, None)
        restart(machine)
    took = [seconds for seconds, _dead in ends]
    print(f"  another one was ready after {min(took):.2f} to {max(took):.2f} s, with WatchdogSec={WATCHDOG}s")
    assert_lost_only([load], [dead for _seconds, dead in ends])


def test_calls_are_served_while_the_core_loop_hangs(machine):
    """Proxy threads ask nothing of it."""
    path = published(machine, wait_running(machine, NAME))[0]
    old = main_pid(machine)
    core = host_pid(machine, old)
    with CallLoad(path) as load:
        load.wait_for_more(20)
        ended = threading.Event()

        def stand_still():
            stopped = StoppedThread(core)
            served.wait(60)
            os.kill(core, 9)
            stopped.wait_for_its_end()
            ended.set()
        served = threading.Event()
        thread = threading.Thread(target=stand_still)
        thread.start()
        load.wait_for_more(200)
        served.set()
        thread.join()
        assert ended.is_set()
        wait_another(machine, old)
        load.wait_for_more(20)
