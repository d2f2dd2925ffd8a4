"""Plugins that close, speak or answer when they should not: each of these once went wrong in brokerd."""

import socket
import ssl
import threading

import pytest
from harness import unix_http
from harness.raw_plugin import RawPlugin, answer
from harness.waiting import wait_until


@pytest.fixture
def raw(broker, directory, closing, certificates):
    """Makes a broker with an active raw plugin "rude" behind it, over Unix or TLS."""
    def make(handle, transport="unix", **options):
        tls = None
        if transport == "tls":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        plugin = closing.add(RawPlugin(None if tls else directory / "rude.sock", handle, tls=tls, **options))
        made = broker()
        if tls:
            made.define_json("rude", plugin.url, {"CAFile": certificates / "ca.pem"})
        else:
            made.define("rude", plugin.url)
        made.start()
        made.wait_state("rude", "active")
        return made, plugin
    return make


def test_plugins_that_are_rejected_and_then_close(broker, directory, closing):
    def hang_up(connection, number):
        return False
    broker = broker()
    for index in range(40):
        path = directory / f"no{index}.sock"
        closing.add(RawPlugin(path, hang_up, manifest=b'{"Implements":[]}'))
        broker.define(f"no{index}", f"unix://{path}")
    broker.start()
    for index in range(40):
        assert "empty" in broker.wait_state(f"no{index}", "failed")["Reason"]
    assert broker.get("/broker/v1/healthz").status == 200


@pytest.mark.parametrize("transport", ["unix", "tls"])
def test_an_idle_connection_that_the_plugin_closes_costs_no_call(raw, transport):
    closed = threading.Semaphore(0)

    def once(connection, number):
        connection.sendall(answer(b'{"n":%d}' % number))
        if transport == "tls":
            try:
                connection.unwrap()  # close_notify, as Go's servers send it
            except (OSError, ssl.SSLError):
                pass
        connection.close()
        closed.release()
        return False
    broker, _ = raw(once, transport)
    for number in range(1, 6):
        assert broker.call("rude", "VolumeDriver.List").json() == {"n": number}
        assert closed.acquire(timeout=10)


@pytest.mark.parametrize("transport", ["unix", "tls"])
def test_what_nobody_asked_for_is_nobodys_answer(raw, transport):
    spoken = threading.Semaphore(0)

    def twice(connection, number):
        connection.sendall(answer(b'{"for":%d}' % number))
        connection.sendall(answer(b'{"for":"nobody"}'))
        spoken.release()
        return True
    broker, _ = raw(twice, transport)
    for _ in range(6):
        assert isinstance(broker.call("rude", "VolumeDriver.List").json()["for"], int)
        assert spoken.acquire(timeout=10)


def upload(path, size, before_reading):
    """Sends a call with a body of `size` zeros, reading only after `before_reading` of them, and returns the answer's start."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(b"POST /VolumeDriver.Create HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        sent = 0
        try:
            while sent < before_reading:
                client.sendall(bytes(65536))
                sent += 65536
        except OSError:
            pass
        received = b""
        while piece := client.recv(65536):
            received += piece
        return received


def test_an_answer_before_the_end_of_the_request_survives_the_plugins_close(raw):
    def too_large(connection, number):
        connection.sendall(answer(b'{"Err":"too large"}', "413 Too Large"))
        return False
    broker, _ = raw(too_large, impatient=True)
    for _ in range(10):
        assert upload(broker.published("rude"), 20 << 20, 20 << 20).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_everything_before_it_reads_gets_a_large_early_answer(raw):
    def early(connection, number):
        connection.sendall(answer(bytes(250_000), "400 No"))
        return False
    broker, _ = raw(early, impatient=True)
    received = upload(broker.published("rude"), 20 << 20, 20 << 20)
    assert received.startswith(b"HTTP/1.1 400 ") and received.endswith(bytes(250_000))


def test_a_removed_plugin_is_not_called_on_a_connection_that_was_open(raw):
    half, rest = threading.Event(), threading.Event()

    def in_two_parts(connection, number):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        half.set()
        rest.wait(10)
        connection.sendall(b"cd")
        return True
    broker, plugin = raw(in_two_parts)
    connection = unix_http.Connection(broker.published("rude"))
    connection.request("POST", "/VolumeDriver.List")
    reply = connection.getresponse()
    assert half.wait(10)
    (broker.specs[0] / "rude.spec").unlink()
    wait_until(lambda: broker.plugin("rude") is None, "the plugin is gone")
    rest.set()
    assert reply.read() == b"abcd"
    with pytest.raises(OSError):
        connection.request("POST", "/VolumeDriver.List")
        unread = connection.getresponse()
        raise AssertionError(unread.status)
    assert plugin.number == 1
