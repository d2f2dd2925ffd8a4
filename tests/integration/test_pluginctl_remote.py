"""pluginctl on another host's brokerd: -H ssh://, with a real sshd and ssh, and `dial-stdio`, which it runs there."""

import json
import os
import signal
import socket
import subprocess
import threading

import pytest
from harness.brokerd import PLUGINCTL
from harness.managed import inspect
from harness.process import Process
from harness.running import make_sample
from harness.ssh_server import ALIAS, SshServer
from harness.waiting import wait_until

HOST = f"ssh://{ALIAS}"


@pytest.fixture
def remote(busy, directory, closing):
    """brokerd with some plugins, and an sshd on its host, where BROKERD_HOST leads pluginctl to it."""
    broker, _plugin = busy
    return Remote(broker, closing.add(SshServer(directory / "ssh", {"pluginctl": PLUGINCTL}, {"BROKERD_HOST": f"unix://{broker.control}"})))


class Remote:
    def __init__(self, broker, server):
        self.broker, self.server = broker, server
        self.environment = {**os.environ, **server.environment}

    def pluginctl(self, *arguments, host=HOST, timeout=60, **options):
        command = [str(part) for part in (PLUGINCTL, "-H", host, *arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=self.environment,
                              **({} if "input" in options else {"stdin": subprocess.DEVNULL}), **options)

    def watch(self, directory, *arguments):
        return Process([PLUGINCTL, "-H", HOST, *arguments], directory / f"watch-{arguments[0]}", environment=self.server.environment)


def one_sentence(ran, status):
    assert ran.returncode == status and len(ran.stderr.splitlines()) == 1, (ran.returncode, ran.stderr)
    return ran.stderr


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
    before = "-T -o ConnectTimeout=30"
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
        assert watcher.wait() in (130, -signal.SIGINT)
    assert remote.pluginctl("rm", "-f", "acme/far").returncode == 0
    wait_until(lambda: not remote.server.remotes(), lambda: f"end of {remote.server.remotes()}")


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
    wait_until(lambda: not remote.server.remotes(), lambda: f"end of {remote.server.remotes()}")


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
    bare = closing.add(SshServer(directory / "bare", {}))
    message = one_sentence(Remote(remote.broker, bare).pluginctl("ls"), 125)
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
    wait_until(lambda: not remote.server.remotes(), lambda: f"end of {remote.server.remotes()}")


# -- dial-stdio alone -------------------------------------------------------------------------------------------------

def dial(broker, **options):
    return subprocess.Popen([PLUGINCTL, "-H", f"unix://{broker.control}", "dial-stdio"], **options)


def test_dial_stdio_passes_half_closes_on(started):
    """The request's end is not the answer's: with standard input at its end, the whole answer still comes."""
    done = subprocess.run([PLUGINCTL, "-H", f"unix://{started.control}", "dial-stdio"], capture_output=True, timeout=20,
                          input=b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert done.returncode == 0 and done.stdout.startswith(b"HTTP/1.1 200") and b"ApiVersion" in done.stdout


def echo_server(path, received):
    """A socket that answers with what it got, once that has ended."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve():
        connection, _ = server.accept()
        with connection, server:
            while piece := connection.recv(1 << 20):
                received.append(piece)
            connection.sendall(b"".join(received))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", ["pipe", "socketpair"])
def test_dial_stdio_carries_every_byte(directory, kind):
    """Through pipes and sockets, more than fits anywhere on the way."""
    received, data = [], os.urandom(5 << 20)
    server = echo_server(directory / "echo.sock", received)
    command = [PLUGINCTL, "-H", directory / "echo.sock", "dial-stdio"]
    if kind == "pipe":
        answer = subprocess.run(command, input=data, capture_output=True, timeout=60).stdout
    else:
        ours, its = socket.socketpair()
        child = subprocess.Popen(command, stdin=its, stdout=its)
        its.close()
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := ours.recv(1 << 20):
            answer += piece
        assert child.wait(20) == 0
    server.join(20)
    assert answer == data and b"".join(received) == data


def test_dial_stdio_ends_with_either_side(started):
    reader, writer = os.pipe()
    child = dial(started, stdin=subprocess.PIPE, stdout=writer)
    os.close(writer)
    os.close(reader)  # whoever reads is gone, and nothing happens that would be written
    assert child.wait(20) == 0
    child = dial(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdin.write(b"GET /broker/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    child.stdin.flush()
    assert child.stdout.readline().startswith(b"HTTP/1.1 200")
    started.stop()
    assert child.wait(20) == 0
    child.stdin.close()
    child.stdout.close()


def test_dial_stdio_without_daemon(directory):
    done = subprocess.run([PLUGINCTL, "-H", directory / "no.sock", "dial-stdio"], capture_output=True, text=True, timeout=20)
    assert "no.sock" in one_sentence(done, 125)
