"""Each of these went wrong once in brokerd's data plane."""

import array
import fcntl
import os
import signal
import socket
import struct
import termios

import pytest
from harness.raw_plugin import RawPlugin, answer
from harness.waiting import wait_until

CALL = b"POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def raw(broker, directory, closing):
    def make(handle, tcp=False, **options):
        plugin = closing.add(RawPlugin(None if tcp else directory / "rude.sock", handle, **options))
        made = broker()
        made.define("rude", plugin.url.replace("https", "tcp"))
        made.start()
        made.wait_state("rude", "active")
        return made, plugin
    return make


@pytest.fixture
def client(closing):
    def connect(broker):
        connection = closing.add(socket.socket(socket.AF_UNIX))
        connection.settimeout(5)
        connection.connect(str(broker.published("rude")))
        return connection
    return connect


def queued(connection):
    """Bytes that nobody has read yet (SIOCOUTQ)."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


class Frozen:
    """The broker stands still meanwhile: what is sent arrives for it all at once."""

    def __init__(self, broker):
        self.pid = broker.process.pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: open(f"/proc/{self.pid}/stat").read().rpartition(")")[2].split()[0] == "T", "stop")

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


def polite(connection, number):
    connection.sendall(answer(b'{"n":%d}' % number))
    return True


def test_a_handshake_of_a_plugin_that_could_not_be_published(broker, directory, closing):
    plugin = closing.add(RawPlugin(directory / "rude.sock", polite))
    broker = broker()
    (broker.runtime / "plugins").mkdir(parents=True)
    (broker.runtime / "plugins" / "rude.sock").write_text("no socket")
    broker.define("rude", plugin.url)
    broker.start()
    broker.wait_state("rude", "active")
    for _ in range(5):
        assert broker.post("/broker/v1/plugins/rude/activate").status == 200


def test_an_answer_to_a_call_that_was_not_sent_is_nobodys(raw, client):
    last = []

    def remember(connection, number):
        last.append(connection)
        return polite(connection, number)
    broker, plugin = raw(remember)
    connection = client(broker)
    connection.sendall(CALL)
    assert connection.recv(1000).endswith(b'{"n":1}')
    wait_until(lambda: "rude" in broker.plugins(), "the exchange's end")
    with Frozen(broker):
        connection.sendall(CALL)
        last[-1].sendall(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlate")
        last[-1].shutdown(socket.SHUT_RDWR)
    assert connection.recv(1000).endswith(b'{"n":2}')
    assert plugin.number == 2


@pytest.mark.parametrize("method", [b"VolumeDriver." + b"A" * 260 + b"/../NetworkDriver.Join", b"VolumeDriver.x%2f..%2fNetworkDriver.Join"])
def test_a_method_is_what_follows_the_capability_and_nothing_else(raw, client, method):
    broker, plugin = raw(polite)
    connection = client(broker)
    connection.sendall(CALL.replace(b"VolumeDriver.List", method))
    assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")
    assert plugin.number == 0


def test_a_request_in_two_pieces_that_one_read_does_not_join(raw, client):
    broker, _ = raw(polite)
    connection = client(broker)
    connection.sendall(CALL)
    assert connection.recv(1000).endswith(b'{"n":1}')
    with Frozen(broker):
        connection.sendmsg([CALL[:20]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])
        connection.sendall(CALL[20:])
    assert connection.recv(1000).endswith(b'{"n":2}')


def test_an_answer_with_urgent_data_does_not_stall(raw, client):
    brokers = []

    def urgent(connection, number):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + bytes(1000))
        wait_until(lambda: queued(connection) == 0, "reader")
        with Frozen(brokers[0]):
            connection.sendall(bytes(3000))
            connection.send(b"!", socket.MSG_OOB)
            connection.sendall(bytes(6000))
        return True
    broker, _ = raw(urgent, tcp=True)
    brokers.append(broker)
    connection = client(broker)
    connection.sendall(CALL)
    got = b""
    while not got.endswith(bytes(10_000)):
        got += connection.recv(20_000)
