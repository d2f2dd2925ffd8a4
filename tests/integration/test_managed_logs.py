"""What managed plugins write, as operators read it: with pluginctl logs, across restarts of everything."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess

import pytest
from harness.managed import succeed
from harness.running import create_sample, enable_sample
from harness.waiting import wait_until

NAME = "acme/writer"
FULL = f"{NAME}:latest"
START = "the sample plugin starts"


def lines(broker, *flags):
    text = succeed(broker.pluginctl("logs", "--format", "json", *flags, NAME))
    return [json.loads(line) for line in text.splitlines()]


def messages(broker, *flags):
    return [line["Message"] for line in lines(broker, *flags)]


def restart_plugin(broker):
    """Crashes it, and waits until it runs again."""
    before = broker.wait_state(FULL, "running")
    os.kill(before["Pid"], signal.SIGKILL)

    def another_runs():
        now = broker.plugin(FULL)  # once: between two looks it may have ended
        return now["State"] == "running" and now["Pid"] != before["Pid"]
    wait_until(another_runs, "restart", 20)


@pytest.fixture
def keeper(broker):
    return broker(extra=["--live-restore=false"]).start()


def test_lines_of_all_runs_are_kept(keeper):
    enable_sample(keeper, NAME)
    assert messages(keeper) == [START]
    restart_plugin(keeper)
    assert messages(keeper) == [START, START]
    assert messages(keeper, "--tail", "1") == [START]
    assert messages(keeper, "-n0") == [] and messages(keeper, "--since", "1h") == [START] * 2
    assert messages(keeper, "--since", "2099-01-01") == []
    last = lines(keeper)[1]
    assert messages(keeper, "--since", last["Time"]) == [START]
    assert last["Stream"] == "stdout"
    # Flags after the name work, and the time comes first.
    shown = succeed(keeper.pluginctl("logs", NAME, "-t", "-n", "1"))
    assert shown == f"{last['Time']} {START}\n"


def test_streams_stay_apart(keeper):
    create_sample(keeper, NAME, "exit=3")
    failed = keeper.pluginctl("enable", NAME)
    assert failed.returncode == 1
    shown = keeper.pluginctl("logs", NAME)
    assert (shown.stdout, shown.stderr) == (f"{START}\n", "the sample plugin was told to exit\n")


def test_a_flood_is_bounded_and_said(keeper):
    enable_sample(keeper, NAME, "flood=100000")
    wait_until(lambda: "messages were suppressed" in messages(keeper, "-n", "1")[0], "note of the missing lines", 20)
    shown = keeper.pluginctl("logs", NAME)
    assert "messages were suppressed]\n" in shown.stderr
    directory = keeper.state / "logs" / keeper.plugin(FULL)["Id"]
    assert sum(file.stat().st_size for file in directory.iterdir()) <= 2 << 20


def test_following_goes_on_across_restarts_and_ends_with_the_plugin(keeper):
    enable_sample(keeper, NAME)
    follower = subprocess.Popen([*keeper.pluginctl_command("logs", "-f", NAME)], stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout.readline() == f"{START}\n"
        restart_plugin(keeper)
        assert follower.stdout.readline() == f"{START}\n"
        succeed(keeper.pluginctl("disable", NAME))
        directory = keeper.state / "logs" / keeper.plugin(FULL)["Id"]
        assert directory.is_dir()
        succeed(keeper.pluginctl("rm", NAME))
        assert not directory.exists()
        assert follower.stdout.read() == ""
        assert follower.wait(10) == 0
    finally:
        follower.kill()
        follower.wait()


def test_what_is_written_while_brokerd_is_away_is_kept(broker):
    broker = broker().start()
    enable_sample(broker, NAME)
    follower = subprocess.Popen([*broker.pluginctl_command("logs", "-f", NAME)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
    assert follower.stdout.readline() == f"{START}\n"
    broker.kill()
    broker.start()
    assert follower.communicate(timeout=10)[0] == "" and follower.returncode == 125
    try:
        assert messages(broker) == [START]
        restart_plugin(broker)
        assert messages(broker) == [START, START]
    finally:
        broker.pluginctl("rm", "-f", NAME)


def test_mistakes_are_told(keeper):
    create_sample(keeper, NAME)
    assert messages(keeper) == []
    for flags, status, words in ((["--tail", "x", NAME], 2, "is no number of lines"),
                                 (["--since", "soon", NAME], 1, "how long ago"),
                                 (["--format", "table {{.Time}}", NAME], 2, "a stream has no table"),
                                 (["nobody/none"], 1, "nobody/none"), ([], 2, "NAME")):
        result = keeper.pluginctl("logs", *flags)
        assert result.returncode == status and words in result.stderr, result
    keeper.define("old", "unix:///run/nobody.sock")
    wait_until(lambda: "old" in keeper.plugins(), "legacy plugin")
    legacy = keeper.pluginctl("logs", "old")
    assert legacy.returncode == 1 and "is not run by brokerd" in legacy.stderr


def followed(broker):
    """How many follow logs in files: each has an inotify instance."""
    with contextlib.suppress(FileNotFoundError):  # a descriptor that has gone meanwhile
        return sum(os.readlink(fd) == "anon_inode:inotify" for fd in pathlib.Path(f"/proc/{broker.process.pid}/fd").iterdir())
    return None


def test_those_who_follow_are_bounded(keeper):
    create_sample(keeper, NAME)
    before = wait_until(lambda: followed(keeper), "its own watches")
    followers = [subprocess.Popen([*keeper.pluginctl_command("logs", "-f", NAME)], stdout=subprocess.DEVNULL)
                 for _ in range(16)]
    try:
        wait_until(lambda: followed(keeper) == before + 16, "followers")
        refused = keeper.pluginctl("logs", "-f", NAME)
        assert refused.returncode == 1 and "16 connections follow logs already" in refused.stderr, refused
        assert messages(keeper) == []  # all others are served as before
    finally:
        for follower in followers:
            follower.kill()
            follower.wait()
