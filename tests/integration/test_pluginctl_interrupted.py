"""How pluginctl over ssh ends, wherever it is: a terminal as it was, nothing left on either side."""

import fcntl
import os
import pathlib
import signal
import struct
import subprocess
import termios

import pytest
from harness.brokerd import PLUGINCTL
from harness.process import one_sentence
from harness.remote import HOST, Remote
from harness.running import enable_sample
from harness.ssh_server import ASKING, PASSPHRASE
from harness.terminal import Terminal
from harness.waiting import wait_until

CTRL_C = "\x03"
PROMPT = "Enter passphrase"


@pytest.fixture
def remote(broker, directory, closing):
    broker = broker(extra=["--live-restore=false"]).start()
    broker.define("mobyfs", "tcp://127.0.0.1:1")
    return Remote(broker, directory, closing)


def child_of(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 1, children
    return int(children[0])


def sleeps(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@pytest.fixture
def asked(remote, closing):
    """Starts a pluginctl on a terminal, whose ssh asks for a passphrase there, below a shell that tells how it ended."""
    def start(*arguments):
        command = " ".join(str(part) for part in (PLUGINCTL, "-H", f"ssh://{ASKING}", *arguments))
        terminal = closing.add(Terminal(["sh", "-c", f'trap : INT; {command}; echo "ended with $?"; read line'], remote.environment))
        terminal.wait_for(lambda: PROMPT in terminal.screen(), "question of ssh")
        assert not terminal.echoes()
        return terminal
    return start


def test_passphrase(asked):
    terminal = asked("ls")
    terminal.type(PASSPHRASE + "\n")
    terminal.wait_for(lambda: "ended with 0" in terminal.screen(), "list")
    assert "mobyfs" in terminal.screen() and terminal.echoes()


def test_interrupted_while_ssh_asks(asked, remote):
    """Once pluginctl has ended, ssh has, too, and what is typed is seen again."""
    ways = ((lambda terminal: terminal.type(CTRL_C), 130), (lambda terminal: os.kill(child_of(terminal.pid), signal.SIGTERM), 143))
    for arguments in (["ls"], ["events"], ["install", "acme/one"]):
        for interrupt, status in ways:
            terminal = asked(*arguments)
            interrupt(terminal)
            terminal.wait_for(lambda: "ended with" in terminal.screen(), "end of pluginctl")
            assert terminal.echoes() and f"ended with {status}" in terminal.screen(), (arguments, terminal.screen())
            assert remote.server.clients() == []
    terminal = asked("ls")
    pluginctl = child_of(terminal.pid)
    # The kernel tells ssh once, and of a signal between its prompt and its read ssh takes note only after the read.
    wait_until(lambda: sleeps(child_of(pluginctl)), "ssh that reads")
    os.kill(pluginctl, signal.SIGKILL)
    terminal.wait_for(lambda: terminal.echoes() and not remote.server.clients(), "end of ssh")


def test_streams_leave_nothing(remote, directory):
    """While nothing happens that could be written, so that nobody notices by writing."""
    enable_sample(remote.broker, "acme/far")
    for number in (signal.SIGTERM, signal.SIGKILL):
        watchers = [remote.watch(directory, *arguments) for arguments in (
            ("events", "--replay", "1"), ("logs", "-f", "acme/far"), ("stats", "--format", "{{.Plugin}}", "--interval", "0.1"))]
        for watcher in watchers:
            wait_until(watcher.output, "output over ssh")
        for watcher in watchers:
            watcher.signal(number)
            assert watcher.wait() == -number
        wait_until(lambda: not remote.left(), lambda: f"end of {remote.left()}")
    assert remote.broker.pluginctl("rm", "-f", "acme/far").returncode == 0


def test_completion_asks_nothing(remote, closing):
    """A Tab where ssh would have to ask offers no names, and leaves the terminal alone."""
    command = f'{PLUGINCTL} __complete -H ssh://{ASKING} inspect mob; echo "ended with $?"; read line'
    terminal = closing.add(Terminal(["sh", "-c", command], remote.environment))
    terminal.wait_for(lambda: "ended with 0" in terminal.screen(), "end of pluginctl")
    assert PROMPT not in terminal.screen() and "mobyfs" not in terminal.screen()
    assert "BatchMode=yes" in remote.server.calls()[0] and "ConnectTimeout=3" in remote.server.calls()[0]
    assert completed(remote) == "mobyfs\n"


def completed(remote):
    """What is offered for the name of a plugin over there."""
    command = [PLUGINCTL, "__complete", "-H", HOST, "inspect", "mob"]
    ran = subprocess.run(command, capture_output=True, text=True, env=remote.environment, timeout=60)
    assert ran.returncode == 0 and ran.stderr == ""
    return ran.stdout


def fake_ssh(remote, script):
    program = remote.server.client / "ssh"
    program.write_text("#!/bin/sh\n" + script)


@pytest.mark.long
def test_completion_does_not_hang(remote):
    fake_ssh(remote, "exec sleep 600\n")
    assert completed(remote) == ""


def test_ssh_that_says_much(remote):
    """However much it is, it is read, and its last line shown."""
    fake_ssh(remote, "yes 'a line of a long story' | head -c 100000000 >&2\nprintf '\\nat last, the point\\n' >&2\nexit 255\n")
    assert "ssh says: at last, the point; try:" in one_sentence(remote.pluginctl("ls"), 125)


def test_ssh_that_does_not_obey(remote, directory):
    """One that takes no notice of SIGTERM is killed."""
    pid = directory / "pid"
    fake_ssh(remote, f"trap '' TERM\necho $$ >{pid}.new\nmv {pid}.new {pid}\nexec sleep 600\n")
    listing = remote.watch(directory, "ls")
    wait_until(pid.exists, "ssh")
    listing.signal(signal.SIGTERM)
    assert listing.wait() == -signal.SIGTERM
    assert not pathlib.Path("/proc", pid.read_text().strip()).exists()


def test_stream_that_nobody_reads(remote):
    """While pluginctl waits for the reader of its output, a signal ends it all the same."""
    fake_ssh(remote, "printf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec yes '{\"Action\": \"active\"}'\n")
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    child = subprocess.Popen([PLUGINCTL, "-H", HOST, "events"], stdout=writer, stdin=subprocess.DEVNULL, env=remote.environment)
    try:
        os.close(writer)
        wait_until(lambda: waiting_bytes(reader) > size - 200, "output that fills its pipe")
        child.terminate()
        assert child.wait(20) == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()
        os.close(reader)


def waiting_bytes(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]
