"""Limits: at the limit, one beyond, and back."""

import concurrent.futures
import pathlib
import random
import re
import selectors
import socket
import threading

import pytest
from harness import unix_http
from harness.documents import names_of_tests
from harness.raw_plugin import RawPlugin, answer
from harness.waiting import wait_until

CALL = b"POST /VolumeDriver.List HTTP/1.1\r\nHost: plugin\r\nContent-Length: 2\r\n\r\n{}"


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(path))
    return client


def call(client):
    """One call on an open connection."""
    client.sendall(CALL)
    return read_answer(client)


def read_answer(client):
    received = b""
    while not received.endswith(b"}\n"):
        piece = client.recv(65536)
        assert piece, received
        received += piece
    assert received.startswith(b"HTTP/1.1 200 "), received
    return True


def ready(clients, timeout):
    """Those of `clients` that have something to read."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        return [key.fileobj for key, _events in selector.select(timeout)]


@pytest.fixture
def limited(broker, mobyfs):
    def make(limit, threads):
        plugin = mobyfs()
        made = broker(threads=threads, extra=["--max-connections", limit])
        made.define("mobyfs", plugin.url)
        made.define("other", plugin.url)
        made.start()
        made.wait_state("mobyfs", "active")
        made.wait_state("other", "active")
        return made, plugin
    return make


# -- connections per published socket ---------------------------------------------------------------------------------


@pytest.mark.parametrize("limit,threads", [(1, 1), (4, 1), (1, 2), (4, 2), (5, 2), (2, 3)])
def test_connections_beyond_the_limit_wait_for_one_that_ends(limited, limit, threads):
    broker, _plugin = limited(limit, threads)
    path = broker.published("mobyfs")
    waiting = [connect(path) for _ in range(3 * limit)]
    for client in waiting:
        client.sendall(CALL)
    served = []
    while waiting:
        # As many as the limit allows are served, wherever they were accepted, and no more.
        while len(served) < limit:
            answered = ready(waiting, 10)
            assert answered, f"only {len(served)} of {limit} connections are served"
            for client in answered:
                waiting.remove(client)
                served.append(client)
                assert read_answer(client)
        assert len(served) == limit
        for client in served:
            assert call(client)
        assert broker.call("other", "VolumeDriver.List").status == 200  # its own socket has its own limit
        assert ready(waiting, 0) == []
        served.pop(random.randrange(limit)).close()
        if len(waiting) == limit:  # towards the end, all at once
            while served:
                served.pop().close()
            limit = len(waiting)
            while waiting:
                client = ready(waiting, 10)[0]
                waiting.remove(client)
                assert read_answer(client)
                client.close()
    for client in served:
        client.close()


@pytest.mark.parametrize("limit,threads", [(1, 1), (3, 2), (7, 2)])
def test_nobody_is_forgotten_in_the_backlog(limited, limit, threads):
    """Many clients that come and go at once, with few places."""
    broker, _plugin = limited(limit, threads)
    path = broker.published("mobyfs")

    def client(number):
        for _ in range(25):
            connection = connect(path)
            try:
                assert call(connection)
            finally:
                connection.close()
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for ended in [pool.submit(client, number) for number in range(24)]:
            ended.result()


def test_waiting_for_a_place_costs_no_time(limited):
    broker, _plugin = limited(1, 2)
    path = broker.published("mobyfs")
    holder = connect(path)
    assert call(holder)
    waiting = [connect(path) for _ in range(20)]
    before = broker.cpu_seconds()
    assert ready(waiting, 0.5) == []
    assert broker.cpu_seconds() - before < 0.2, "it spins"
    for client in (holder, *waiting):
        client.close()
    last = connect(path)
    assert call(last)
    last.close()


# -- of a request -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("excess", ["one field", "many fields", "target"])
def test_a_head_beyond_its_limit_is_431(limited, excess):
    broker, plugin = limited(10, 1)
    target, fields = b"/VolumeDriver.List", b""
    if excess == "one field":
        fields = b"X-Padding: " + b"x" * 40_000 + b"\r\n"
    elif excess == "many fields":
        fields = b"".join(b"X-%d: 1\r\n" % number for number in range(200))
    else:
        target += b"?" + b"x" * 40_000
    client = connect(broker.published("mobyfs"))
    client.sendall(b"POST " + target + b" HTTP/1.1\r\nHost: x\r\n" + fields + b"Content-Length: 0\r\n\r\n")
    received = b""
    while piece := client.recv(65536):
        received += piece
    client.close()
    assert received.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 414 ") if excess == "target" else b"HTTP/1.1 431 "), received
    assert b'"Err"' in received
    assert plugin.calls("VolumeDriver.List") == []


def test_a_client_that_does_not_leave_after_its_last_answer_is_left(limited):
    """After an answer that ends the connection its peer may read it, but not keep the place for ever."""
    broker, _plugin = limited(2, 1)
    path = broker.published("mobyfs")
    refused = [connect(path) for _ in range(2)]
    for client in refused:
        client.sendall(b"nonsense\r\n\r\n")
        received = b""
        while piece := client.recv(65536):
            received += piece
        assert received.startswith(b"HTTP/1.1 400 ")
    after = connect(path)  # both places are taken until the broker closes
    assert call(after)
    for client in (*refused, after):
        client.close()


# -- of bodies: none, but for the memory that they take -----------------------------------------------------------------


BIG = 128 << 20
PIECE = bytes(1 << 20)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_an_answer_of_any_size_to_a_slow_reader_takes_little_memory(broker, directory, closing, framing):
    def big(connection, number):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + {
            "length": b"Content-Length: %d\r\n\r\n" % BIG,
            "chunked": b"Transfer-Encoding: chunked\r\n\r\n",
            "close": b"Connection: close\r\n\r\n"}[framing])
        for _ in range(BIG // len(PIECE)):
            if framing == "chunked":
                connection.sendall(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
            else:
                connection.sendall(PIECE)
        if framing == "chunked":
            connection.sendall(b"0\r\n\r\n")
        return framing != "close"
    plugin = closing.add(RawPlugin(directory / "raw.sock", big))
    broker = broker()
    broker.define("raw", plugin.url)
    broker.start()
    broker.wait_state("raw", "active")
    before, highest, size = broker.memory(), 0, 0
    connection = unix_http.Connection(broker.published("raw"), timeout=60)
    connection.request("POST", "/VolumeDriver.List")
    response = connection.getresponse()
    while piece := response.read(1 << 20):
        size += len(piece)
        if size % (16 << 20) == 0:
            highest = max(highest, broker.memory())
    connection.close()
    assert size == BIG
    assert highest - before < 8192


def test_a_request_of_any_size_takes_little_memory(broker, directory, closing):
    sizes = []

    def swallow(connection, number):
        size = 0
        while size < BIG:
            size += len(connection.recv(1 << 20))
        sizes.append(size)
        connection.sendall(answer())
        return True
    plugin = closing.add(RawPlugin(directory / "raw.sock", swallow, impatient=True))
    broker = broker()
    broker.define("raw", plugin.url)
    broker.start()
    broker.wait_state("raw", "active")
    before, highest = broker.memory(), 0
    client = connect(broker.published("raw"))
    client.sendall(b"POST /VolumeDriver.Create HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % BIG)
    for number in range(BIG // len(PIECE)):
        client.sendall(PIECE)
        if number % 16 == 0:
            highest = max(highest, broker.memory())
    assert b" 200 OK" in client.recv(65536)
    client.close()
    assert sizes == [BIG]
    assert highest - before < 8192


def test_a_reader_that_stops_holds_up_only_itself(broker, directory, closing):
    """Back-pressure reaches the plugin: it is not read further than a few buffers ahead of the client."""
    sent = [0]
    stopped = threading.Event()

    def endless(connection, number):
        if number > 1:
            connection.sendall(answer())
            return True
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        connection.settimeout(1)
        try:
            while sent[0] < BIG:
                sent[0] += connection.send(PIECE)
        except TimeoutError:
            stopped.set()
        return False
    plugin = closing.add(RawPlugin(directory / "raw.sock", endless))
    broker = broker()
    broker.define("raw", plugin.url)
    broker.start()
    broker.wait_state("raw", "active")
    before = broker.memory()
    reader = connect(broker.published("raw"))
    reader.sendall(CALL)
    wait_until(stopped.is_set, "the plugin is held back", 20)
    assert sent[0] < 8 << 20
    assert broker.memory() - before < 8192
    assert broker.call("raw", "VolumeDriver.List").status == 200
    reader.close()


# -- of the settings themselves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("line,parts", [
    ("answer-timeout = soon", ["answer-timeout", '"soon"', "number of seconds"]),
    ("answer-timeout = sshfs/VolumeDriver.Mount=90000", ["answer-timeout", "sshfs/VolumeDriver.Mount=90000", "86400"]),
    ("answer-timeut = 30", ["brokerd.conf", "answer-timeut", "is not a setting"]),
    ("[answer-timeout]\nsshfs = 30", ["brokerd.conf", "without sections", "[answer-timeout]"]),
    ("max-connections = 0", ["max-connections", "1"]),
    ("request-timeout = -1", ["request-timeout", "1"]),
])
def test_a_mistake_in_the_settings_stops_the_start_with_one_sentence(broker, directory, line, parts):
    (directory / "brokerd.conf").write_text(line + "\n")
    problem = broker().refuse().strip()
    assert problem.startswith("brokerd: ") and "\n" not in problem
    for part in parts:
        assert part in problem


# -- of the list of limits --------------------------------------------------------------------------------------------

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LIST = REPOSITORY / "daemon" / "LIMITS.md"


def test_each_test_that_the_list_names_exists():
    text = LIST.read_text(encoding="utf-8")
    assert len(names_of_tests(text)) > 40
    for name, case in sorted(set(re.findall(r"\b(\w+_test\.cpp)\b`(?: \"([^\"|]+)\")?", text))):
        sources = list((REPOSITORY / "tests" / "unit").rglob(name))
        assert sources and any(f'"{case}"' in source.read_text(encoding="utf-8") for source in sources if case) == bool(case), (name, case)


def test_each_limit_has_its_place_in_the_list():
    text = LIST.read_text(encoding="utf-8")
    constants = {name for source in (REPOSITORY / "daemon").rglob("*") if source.suffix in (".h", ".cpp")
                 for name in re.findall(r"constexpr [^=;{]*\b(k(?:Max|Most)[A-Z]\w*)", source.read_text(encoding="utf-8"))}
    assert len(constants) > 80
    assert sorted(name for name in constants if f"`{name}`" not in text) == []
