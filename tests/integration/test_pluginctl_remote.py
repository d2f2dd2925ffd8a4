"""pluginctl on another host's brokerd: -H ssh://, with a real sshd and ssh. How it ends: test_pluginctl_interrupted.py."""

import json
import os
import signal
import socket
import subprocess

import pytest
from harness.brokerd import PLUGINCTL
from harness.managed import inspect
from harness.process import one_sentence
from harness.remote import HOST, Remote
from harness.running import make_sample
from harness.ssh_server import ALIAS, SshServer
from harness.waiting import wait_until


@pytest.fixture
def remote(busy, directory, closing):
    broker, _plugin = busy
    return Remote(broker, directory, closing)


def test_commands_over_ssh(remote):
    broker = remote.broker
    for arguments in (["ls"], ["ls", "-q"], ["inspect", "mobyfs"], ["doctor"], ["ls", "--format", "json", "--filter", "name=mobyfs"]):
        here, there = broker.pluginctl(*arguments), remote.pluginctl(*arguments)
        assert (there.returncode, there.stdout, there.stderr) == (here.returncode, here.stdout, here.stderr), arguments
    assert remote.pluginctl("call", "mobyfs", "VolumeDriver.Create", '{"Name": "v"}').returncode == 0
    assert "v" in remote.pluginctl("call", "mobyfs", "VolumeDriver.List").stdout
    assert json.loads(remote.pluginctl("version", "--format", "json").stdout)["Client"]["Socket"] == HOST
    missing = one_sentence(remote.pluginctl("inspect", "nobody"), 1)
    assert missing == broker.pluginctl("inspect", "nobody").stderr


def test_addresses(remote):
    """What stands in the address becomes ssh's arguments, and the socket's path pluginctl's over there."""
    port = remote.server.port
    names = remote.broker.pluginctl("ls", "-q").stdout
    for host in (f"ssh://root@127.0.0.1:{port}", f"ssh://root@127.0.0.1:{port}/", f"ssh://{ALIAS}{remote.broker.control}"):
        assert remote.pluginctl("ls", "-q", host=host).stdout == names, host
    before = "-T -o ConnectTimeout=30 -o ServerAliveInterval=30"
    assert remote.server.calls()[0] == f"{before} -l root -p {port} -- 127.0.0.1 pluginctl dial-stdio"
    assert remote.server.calls()[-1] == f"{before} -- {ALIAS} pluginctl -H unix://{remote.broker.control} dial-stdio"


REFUSED = [
    "ssh://", "ssh://-oProxyCommand=touch${IFS}x", "ssh://-l", "ssh://a b", "ssh://a;b", "ssh://$(id)", "ssh://u`id`@h", "ssh://-u@h",
    "ssh://u:secret@h", "ssh://h:0", "ssh://h:65536", "ssh://h:ssh", "ssh://h/a b", "ssh://h/$(id)", "ssh://h/a?b", "ssh://[::1", "ssh://h\n"]


def test_addresses_that_are_refused(remote):
    """An address that ssh, its configuration or a shell could take for more than names never reaches them."""
    for host in REFUSED:
        assert "ssh://[USER@]HOST[:PORT][/SOCKET]" in one_sentence(remote.pluginctl("ls", host=host), 2), host
    assert remote.server.calls() == []


def test_a_plugin_is_made_and_run_over_ssh(remote, directory):
    """create streams a directory, logs -f and events stream back."""
    broker = remote.broker
    place = make_sample(directory / "sample", "")
    (place / "rootfs" / "ballast").write_bytes(os.urandom(8 << 20))
    events = remote.watch(directory, "events", "--format", "{{.Action}} {{.Plugin}}", "--replay", "1")
    wait_until(events.output, "event over ssh")  # the one that is replayed: from here on it watches
    made = remote.pluginctl("create", "acme/far", place)
    assert made.returncode == 0 and made.stdout == "acme/far\n", made
    assert remote.pluginctl("enable", "acme/far").returncode == 0
    assert inspect(broker, "acme/far")["Enabled"]
    wait_until(lambda: "running acme/far" in events.output(), events.output)
    logs = remote.watch(directory, "logs", "-f", "acme/far")
    wait_until(lambda: logs.output(), "log over ssh")
    stats = remote.watch(directory, "stats", "--format", "{{.Plugin}}", "--interval", "0.1")
    wait_until(lambda: stats.output().count("mobyfs") > 1, "figures over ssh")
    saved = directory / "saved.tar"
    assert remote.pluginctl("save", "acme/far", "-o", saved).returncode == 0 and saved.stat().st_size > 8 << 20
    for watcher in (events, logs, stats):
        assert watcher.running, watcher.output()
        watcher.signal(signal.SIGINT)
        assert watcher.wait() == -signal.SIGINT
    wait_until(lambda: not remote.left(), lambda: f"end of {remote.left()}")
    assert remote.pluginctl("rm", "-f", "acme/far").returncode == 0


def test_ctrl_c_while_something_is_sent(remote):
    """The terminal interrupts ssh, too; that is not reported as its failure, and the daemon keeps nothing."""
    command = [str(part) for part in (PLUGINCTL, "-H", HOST, "create", "acme/half", "-")]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=remote.environment,
                             start_new_session=True)
    try:
        child.stdin.write(b"\0" * 4096)
        child.stdin.flush()
        wait_until(remote.server.remotes, "connection over ssh")
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(20) == 130
        assert child.stderr.read() == b"" and child.stdout.read() == b""
    finally:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            stream.close()
    assert "acme/half:latest" not in remote.broker.plugins()
    wait_until(lambda: not remote.left(), lambda: f"end of {remote.left()}")


def test_errors_of_ssh_are_one_sentence(remote, directory, closing):
    port = remote.server.port
    message = one_sentence(remote.pluginctl("ls", host="ssh://nobody-is-called-this@127.0.0.1:%d" % port), 125)
    assert "ssh says" in message and "Permission denied" in message
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    assert "Connection refused" in one_sentence(remote.pluginctl("ls", host=f"ssh://127.0.0.1:{closed}"), 125)
    (remote.server.directory / "known").write_text("")
    assert "Host key verification failed" in one_sentence(remote.pluginctl("ls"), 125)


def test_other_side_without_brokerd(remote, directory, closing):
    message = one_sentence(remote.pluginctl("ls", host=f"{HOST}/nowhere.sock"), 125)
    assert "/nowhere.sock" in message and "systemctl start brokerd" in message and HOST in message
    remote.server = closing.add(SshServer(directory / "bare", {}))
    message = one_sentence(remote.pluginctl("ls"), 125)
    assert f"there is no pluginctl on {ALIAS}" in message
    no_ssh = subprocess.run([str(PLUGINCTL), "-H", HOST, "ls"], capture_output=True, text=True, env={"PATH": "/nonexistent"}, timeout=60)
    assert "cannot run ssh" in one_sentence(no_ssh, 125)


def test_connection_that_breaks(remote, directory):
    """The other side goes away in the middle of a stream: said in a sentence, and nothing is left running."""
    events = remote.watch(directory, "events", "--replay", "1")
    wait_until(events.output, "event over ssh")
    for pid in remote.server.remotes():
        os.kill(pid, signal.SIGKILL)
    assert events.wait() == 125
    assert "pluginctl events: " in events.output().splitlines()[-1]
    wait_until(lambda: not remote.left(), lambda: f"end of {remote.left()}")
