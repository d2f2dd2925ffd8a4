"""TLS connections to plugins: sessions that are resumed, or must not be, and what a peer may do within a connection."""

import hashlib
import threading

import pytest
from harness import unix_http
from harness.openssl_server import Hello, OpenSslServer
from harness.raw_plugin import RawPlugin, answer
from harness.waiting import wait_until

ONCE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
INTERNAL_ERROR = bytes([21, 3, 3, 0, 2, 2, 80])  # a fatal alert


def close_after_each(connection, _number):
    connection.sendall(ONCE)
    connection.unwrap()
    return False


@pytest.fixture
def server(certificates):
    return lambda name="server", **options: OpenSslServer(certificates / f"{name}.pem", certificates / f"{name}.key", **options)


@pytest.fixture
def plugin(broker, closing, certificates):
    """Makes a broker with an active plugin "secure" that has this TLS and answers with `handle`."""
    def make(tls, handle=close_after_each, **options):
        made = closing.add(RawPlugin(None, handle, tls=tls, **options))
        brokerd = broker(timeout=2)
        brokerd.define_json("secure", made.url, {"CAFile": certificates / "ca.pem"})
        brokerd.start()
        brokerd.wait_state("secure", "active")
        return brokerd, made
    return make


def call(broker, times=1):
    for _ in range(times):
        reply = broker.call("secure", "VolumeDriver.List")
        assert reply.status == 200, reply


class Offers:
    """What each connection's first message offered."""

    def __init__(self, refuse=None):
        self.tickets, self.early_data, self.refuse = [], [], refuse

    def __call__(self, connection):
        hello = Hello(connection)
        self.tickets.append(hello.ticket)
        self.early_data.append(hello.early_data)
        if hello.ticket and self.refuse is not None:
            connection.sendall(self.refuse)
            connection.close()
            raise OSError("refused for its ticket")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_sessions_are_resumed(plugin, server, version):
    tls = server(version=version, on_accept=Offers())
    broker, _ = plugin(tls)
    call(broker, 8)
    assert len(tls.resumed) >= 8
    assert tls.resumed == [False] + [True] * (len(tls.resumed) - 1)
    assert not any(tls.on_accept.early_data)


def test_a_tls13_ticket_is_used_once(plugin, server):
    tls = server(version="1.3", on_accept=Offers())
    broker, _ = plugin(tls)
    call(broker, 12)
    used = [ticket for ticket in tls.on_accept.tickets if ticket]
    assert len(used) >= 10
    assert len(set(used)) == len(used)


@pytest.mark.parametrize("threads", [2])
def test_each_proxy_thread_has_its_own(broker, closing, certificates, server, threads):
    tls = server(on_accept=Offers())
    made = closing.add(RawPlugin(None, close_after_each, tls=tls))
    brokerd = broker(threads=threads)
    brokerd.define_json("secure", made.url, {"CAFile": certificates / "ca.pem"})
    brokerd.start()
    brokerd.wait_state("secure", "active")
    call(brokerd, 20)
    assert tls.resumed.count(False) <= threads
    used = [ticket for ticket in tls.on_accept.tickets if ticket]
    assert len(set(used)) == len(used) > 0


def test_two_plugins_never_share_a_session(broker, closing, certificates, server):
    tls = server(on_accept=Offers())  # one server, so that it would resume the session of either
    brokerd = broker()
    for name in ("one", "two"):
        made = closing.add(RawPlugin(None, close_after_each, tls=tls))
        brokerd.define_json(name, made.url, {"CAFile": certificates / "ca.pem"})
    brokerd.start()
    for name in ("one", "two"):
        brokerd.wait_state(name, "active")
    assert tls.resumed == [False, False]


def test_a_server_without_tickets(plugin, server):
    tls = server(version="1.3", tickets=0)
    broker, _ = plugin(tls)
    call(broker, 4)
    assert not any(tls.resumed)


class Alternating:
    """Several servers behind one port, in turn: each knows no ticket of the others."""

    def __init__(self, *servers):
        self.servers, self.number = servers, 0

    def wrap_socket(self, connection, server_side=True):
        self.number += 1
        return self.servers[self.number % len(self.servers)].wrap_socket(connection, server_side)


@pytest.mark.parametrize("versions", [("1.2", "1.2"), ("1.3", "1.3"), ("1.2", "1.3")], ids="-".join)
def test_a_ticket_that_is_not_known_any_more_leads_to_a_full_handshake(plugin, server, versions):
    tls = Alternating(*(server(version=version) for version in versions))
    broker, made = plugin(tls)
    call(broker, 6)
    assert made.number == 6  # none was carried out twice


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("refusal", [INTERNAL_ERROR, b""], ids=["alert", "silence"])
def test_a_server_that_ends_the_handshake_over_a_ticket(plugin, server, version, refusal):
    tls = server(version=version, on_accept=Offers(refusal))
    broker, made = plugin(tls)
    call(broker, 4)
    assert made.number == 4
    if refusal:
        assert sum(map(bool, tls.on_accept.tickets)) == 1, "offered again after it was refused"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_another_authority_is_demanded_after_a_success(plugin, server, certificates, version):
    """A session of the old definition must not stand in for a verification by the new one."""
    tls = server(version=version, on_accept=Offers())
    broker, made = plugin(tls)
    call(broker, 3)
    assert tls.resumed[-1]
    calls = made.number
    broker.define_json("secure", made.url, {"CAFile": certificates / "other-ca.pem"})
    reason = broker.wait_state("secure", "failed")["Reason"]
    assert "authority" in reason, reason
    assert broker.call("secure", "VolumeDriver.List").status == 503
    assert made.number == calls
    broker.define_json("secure", made.url, {"CAFile": certificates / "ca.pem"})
    broker.wait_state("secure", "active")
    call(broker, 2)


def test_another_certificate_of_the_plugin_is_verified(plugin, server):
    """The plugin comes back with a certificate that is not trusted: its old tickets mean nothing to it."""
    tls = Alternating(server())
    broker, made = plugin(tls)
    call(broker, 3)
    calls = made.number
    tls.servers = (server("other-server"),)
    assert broker.call("secure", "VolumeDriver.List").status == 503
    assert "authority" in broker.wait_state("secure", "failed")["Reason"]
    assert made.number == calls


def test_tickets_that_come_with_the_answer(plugin, server):
    def handle(connection, number):
        connection.new_ticket()
        return close_after_each(connection, number)
    tls = server(version="1.3", tickets=0)
    broker, _ = plugin(tls, handle)
    call(broker, 6)
    assert tls.resumed[0] is False
    assert tls.resumed.count(True) >= 4


def test_tickets_that_come_after_the_answer(plugin, server):
    """While the connection is idle: it stays usable, and they are kept."""
    told, close = threading.Semaphore(0), threading.Event()

    def handle(connection, number):
        connection.sendall(ONCE if close.is_set() else answer())
        connection.new_ticket()
        connection.announce()
        told.release()
        return True
    tls = server(version="1.3", tickets=0)
    broker, _ = plugin(tls, handle)
    for _ in range(3):
        call(broker)
        assert told.acquire(timeout=10)
    assert len(tls.connections) == 1
    close.set()
    call(broker, 2)
    wait_until(lambda: len(tls.connections) >= 2, "second connection")
    assert tls.resumed[1]


def test_new_keys_within_a_connection(plugin, server):
    def handle(connection, number):
        connection.update_keys()
        connection.sendall(answer(b'{"n":%d}' % number))
        return True
    tls = server(version="1.3")
    broker, _ = plugin(tls, handle)
    for number in range(1, 6):
        assert broker.call("secure", "VolumeDriver.List").json() == {"n": number}
    assert len(tls.connections) == 1


def pattern(size):
    block = bytes(range(256)) * 257
    return (block * (size // len(block) + 1))[:size]


def receive(connection, size, between=None):
    """The digest of a body; `between(received)` is called after each piece."""
    digest, received = hashlib.sha256(), 0
    while received < size:
        piece = connection.recv(min(1 << 16, size - received))
        assert piece
        digest.update(piece)
        received += len(piece)
        if between:
            between(received)
    return digest.hexdigest().encode()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("size", [1, 16384, 16385, 65536, 65537, 200_001, 20 << 20])
def test_bodies_arrive_whole_both_ways(plugin, server, version, size):
    body = pattern(size)

    def handle(connection, number):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 + size) + receive(connection, size) + body)
        return True
    broker, _ = plugin(server(version=version), handle, impatient=True)
    reply = unix_http.request(broker.published("secure"), "POST", "/VolumeDriver.Create", body, timeout=60)
    assert reply.body[:64].decode() == hashlib.sha256(body).hexdigest()
    assert reply.body[64:] == body


def test_a_slow_plugin_that_wants_new_keys_gets_all_of_a_large_body(plugin, server):
    """Records wait for room, in order, with the answers to its requests for new keys between them."""
    size = 8 << 20
    body = pattern(size)
    room = threading.Event()

    def handle(connection, number):
        def between(received):
            if (received >> 16) % 16 == 0:
                connection.update_keys()
                assert connection.announce()
        room.wait(0.5)  # the client's side fills up meanwhile
        connection.sendall(answer(receive(connection, size, between)))
        return True
    broker, _ = plugin(server(version="1.3"), handle, impatient=True)
    reply = unix_http.request(broker.published("secure"), "POST", "/VolumeDriver.Create", body, timeout=60)
    assert reply.body.decode() == hashlib.sha256(body).hexdigest()


def test_renegotiation_is_refused(plugin, server):
    after = []

    def handle(connection, _number):
        connection.renegotiate()
        try:
            after.append(connection.recv(1))  # it fails with the client's refusal
        except OSError as error:
            after.append(error)
        return False
    broker, made = plugin(server(version="1.2"), handle)
    assert broker.call("secure", "VolumeDriver.List").status == 502
    wait_until(lambda: after, "end of the connection")
    assert isinstance(after[0], OSError) and made.number == 1


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("ending", ["notice", "cut"])
def test_an_answer_that_ends_with_the_connection_is_whole_only_by_notice(plugin, server, version, ending):
    def handle(connection, number):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
        if ending == "notice":
            connection.unwrap()
        return False
    broker, _ = plugin(server(version=version), handle)
    connection = unix_http.Connection(broker.published("secure"))
    connection.request("POST", "/VolumeDriver.List", b"{}")
    response = connection.getresponse()
    if ending == "notice":
        assert response.read() == b"x" * 100_000
    else:
        with pytest.raises((OSError, unix_http.http.client.IncompleteRead)):
            response.read()
    connection.close()
