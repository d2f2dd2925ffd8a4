"""No plugin, and no client, can hold up an engine for ever. Durations are compared with each other, never with a clock."""

import concurrent.futures
import contextlib
import select
import socket
import threading

import pytest
from harness import unix_http
from harness.plugins import free_port
from harness.raw_plugin import RawPlugin, answer
from harness.waiting import wait_until

FOR_EVER = 1000
ENOUGH = 16 << 10  # of a body, to count as progress


@pytest.fixture
def raw(broker, directory, closing):
    """Makes a broker with an active raw plugin "raw" behind it."""
    def make(handle, *flags, **options):
        plugin = closing.add(RawPlugin(directory / "raw.sock", handle, **options))
        made = broker(extra=flags)
        made.define("raw", plugin.url)
        made.start()
        made.wait_state("raw", "active")
        return made, plugin
    return make


class Client:
    """A connection of raw bytes."""

    def __init__(self, path, content=b""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.send(content)

    def send(self, content):
        self.socket.sendall(content)
        return self

    def until(self, end):
        """Reads until `end` has come."""
        received = b""
        while end not in received:
            piece = self.socket.recv(65536)
            assert piece, received
            received += piece
        return received

    def rest(self, cut_off=False):
        """Reads until the broker closes; an answer that is cut off may end by a reset, if some of what was sent was not read."""
        received = b""
        with contextlib.suppress(*[ConnectionResetError] if cut_off else []):
            while piece := self.socket.recv(65536):
                received += piece
        return received

    def is_silent(self):
        """Nothing has come, not even the end."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(30)

    def close(self):
        self.socket.close()


def head(method="VolumeDriver.List", length=0, more=b""):
    return b"POST /%s HTTP/1.1\r\nHost: plugin\r\nContent-Length: %d\r\n%s\r\n" % (method.encode(), length, more)


# -- to the first byte of an answer -----------------------------------------------------------------------------------


def test_the_most_specific_deadline_counts(broker, mobyfs, directory):
    plugin = mobyfs(delay=FOR_EVER)
    (directory / "brokerd.conf").write_text(
        "answer-timeout = 0.4\n"
        "# a managed plugin's name has a slash and a tag\n"
        "answer-timeout = vieux/sshfs:latest=0.5\n"
        "answer-timeout = \"vieux/sshfs:latest/VolumeDriver.Mount = 0.6\"\n"
        "max-connections = 100\n"
        "answer-timeout = vieux/sshfs/VolumeDriver.Mount=0.7\n")
    broker = broker(threads=2)
    for name in ("vieux/sshfs:latest", "vieux/sshfs", "other"):
        broker.define(name, plugin.url)
    broker.start()
    for name in ("vieux/sshfs:latest", "vieux/sshfs", "other"):
        broker.wait_state(name, "active")
    wanted = {
        ("other", "VolumeDriver.Mount"): "0.4 s",
        ("vieux/sshfs:latest", "VolumeDriver.List"): "0.5 s",
        ("vieux/sshfs:latest", "VolumeDriver.Mount"): "0.6 s",
        ("vieux/sshfs", "VolumeDriver.List"): "0.4 s",
        ("vieux/sshfs", "VolumeDriver.Mount"): "0.7 s",
    }
    with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
        replies = {call: pool.submit(broker.call, *call, timeout=30) for call in wanted}
    for (name, method), limit in wanted.items():
        reply = replies[name, method].result()
        assert reply.status == 504
        for part in (f"plugin {name} ({plugin.url})", method, limit, "answer-timeout", "not repeated"):
            assert part in reply.error, reply
    assert len([call for call in plugin.calls() if call["Method"] != "Plugin.Activate"]) == len(wanted)


def test_a_late_method_is_only_late(broker, mobyfs):
    """The plugin is not taken for down, its other methods answer, and the engine's connection stays of use."""
    plugin = mobyfs(delay_method=[f"VolumeDriver.Mount={FOR_EVER}"])
    broker = broker(extra=["--answer-timeout", "mobyfs/VolumeDriver.Mount=0.3"])
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    events = broker.events()
    connection = unix_http.Connection(broker.published("mobyfs"))
    for _ in range(3):
        assert unix_http.send(connection, "POST", "/VolumeDriver.Mount", {"Name": "vol"}).status == 504
        local = connection.sock
        assert unix_http.send(connection, "POST", "/VolumeDriver.List", {}).status == 200
        assert connection.sock is local
    connection.close()
    assert broker.plugin("mobyfs")["State"] == "active"
    assert len(plugin.calls("VolumeDriver.Mount")) == 3
    broker.define("fresh", plugin.url)
    events.wait_for("fresh", "active")
    assert [event for event in events.seen if event["Plugin"] == "mobyfs"] == []


def test_an_answer_that_comes_too_late_is_nobodys(raw):
    release, written = threading.Event(), threading.Event()

    def first_too_late(connection, number):
        if number == 1:
            release.wait(30)
            try:
                connection.sendall(answer(b'{"n":1}'))
            finally:
                written.set()
        else:
            connection.sendall(answer(b'{"n":%d}' % number))
        return True
    broker, _plugin = raw(first_too_late, "--answer-timeout", "0.3")
    assert broker.call("raw", "VolumeDriver.List").status == 504
    release.set()
    assert written.wait(10)
    assert [broker.call("raw", "VolumeDriver.List").json()["n"] for _ in range(3)] == [2, 3, 4]


def test_a_stream_has_no_deadline_after_its_first_byte(raw):
    rest = threading.Event()

    def stream_then_silence(connection, number):
        if number == 1:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            rest.wait(30)
            connection.sendall(b"4\r\nlast\r\n0\r\n\r\n")
            return True
        rest.wait(30)
        return False
    broker, _plugin = raw(stream_then_silence, "--answer-timeout", "0.3")
    stream = Client(broker.published("raw"), head())
    stream.until(b"first")
    for _ in range(2):  # two deadlines, one after the other, pass meanwhile
        assert broker.call("raw", "VolumeDriver.List").status == 504
    assert stream.is_silent()
    rest.set()
    stream.until(b"last\r\n0\r\n\r\n")
    stream.close()


def test_interim_answers_do_not_count_as_the_first_byte(raw):
    release = threading.Event()

    def only_interim(connection, number):
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        release.wait(30)
        return False
    broker, _plugin = raw(only_interim, "--answer-timeout", "0.3")
    client = Client(broker.published("raw"), head())
    assert b"HTTP/1.1 504 " in client.until(b'"Err"')
    release.set()
    client.close()


def test_interim_answers_without_end_are_refused(raw):
    def hinting(connection, number):
        for _ in range(1000):
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        return True
    broker, _plugin = raw(hinting)
    client = Client(broker.published("raw"), head())
    received = client.until(b'"}')
    assert b"HTTP/1.1 502 " in received and b"interim" in received
    client.close()


def test_zero_is_no_deadline(raw):
    release = threading.Event()

    def wait(connection, number):
        release.wait(30)
        connection.sendall(answer())
        return True
    broker, plugin = raw(wait, "--answer-timeout", "0.3", "--answer-timeout", "raw/VolumeDriver.Mount=0")
    patient = Client(broker.published("raw"), head("VolumeDriver.Mount"))
    wait_until(lambda: plugin.number == 1, "the call at the plugin")
    for _ in range(2):
        assert broker.call("raw", "VolumeDriver.List").status == 504
    assert patient.is_silent()
    release.set()
    assert b" 200 OK" in patient.until(b"{}")
    patient.close()


def test_a_plugin_that_does_not_read_is_late(raw):
    """Its deadline counts from the last byte that it took."""
    release = threading.Event()

    def deaf(connection, number):
        release.wait(30)
        return False
    broker, plugin = raw(deaf, "--answer-timeout", "1", impatient=True)
    client = Client(broker.published("raw"))

    def upload():
        try:
            client.send(head(length=64 << 20))
            for _ in range(1024):
                client.send(bytes(65536))
        except OSError:
            pass  # the broker may close before it has read everything
    sender = threading.Thread(target=upload)
    sender.start()
    received = client.rest()
    sender.join(30)
    release.set()
    assert received.startswith(b"HTTP/1.1 504 ") and plugin.url.encode() in received
    client.close()


def test_progress_of_a_request_moves_the_deadline(raw):
    """A slow upload takes longer than the deadline, none of its pieces of 16 KiB does."""
    def silent(connection, number):
        threading.Event().wait(FOR_EVER)
    broker, _plugin = raw(lambda connection, number: connection.sendall(answer()) or True,
                          "--answer-timeout", "2", "--answer-timeout", "clock=0.5")
    silent_path = broker.directory / "silent.sock"
    clock = RawPlugin(silent_path, silent)
    broker.define("clock", clock.url)
    broker.wait_state("clock", "active")
    slow = Client(broker.published("raw"), head(length=5 * ENOUGH))
    for _ in range(5):
        assert broker.call("clock", "VolumeDriver.List").status == 504  # takes at least half a second
        slow.send(bytes(ENOUGH))
    assert b" 200 OK" in slow.until(b"{}")
    slow.close()
    clock.close()


def test_a_plugin_that_hangs_does_not_freeze_dockerd(engine_broker, dockerd, mobyfs):
    """moby #33994: an engine stuck in Unmount for days; #23452 and others: `docker volume ls` that never ends."""
    plugin = mobyfs(delay_method=[f"VolumeDriver.{method}={FOR_EVER}" for method in ("List", "Unmount", "Remove")])
    broker = engine_broker(extra=["--answer-timeout", "mobyfs=0.5"])
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    engine = dockerd()
    engine.create_volume("mobyfs", "vol")
    assert engine.run("vol", "echo written > /v/file; cat /v/file") == "written\n"  # ends with an Unmount that hangs
    assert plugin.calls("VolumeDriver.Unmount")
    listed = engine.docker("volume", "ls", check=False)
    assert listed.returncode == 0 and plugin.calls("VolumeDriver.List")
    removed = engine.docker("volume", "rm", "vol", check=False)
    assert removed.returncode != 0 and "mobyfs" in removed.stderr and "0.5 s" in removed.stderr
    assert engine.docker("info").returncode == 0


# -- of clients -------------------------------------------------------------------------------------------------------


def test_a_client_that_stops_within_the_body_is_told_so(raw):
    """That is not the plugin's fault, and what the plugin got must not look whole."""
    ended = threading.Event()

    def read_all(connection, number):
        while connection.recv(65536):
            pass
        ended.set()
        return False
    broker, plugin = raw(read_all, "--answer-timeout", "0.3", impatient=True)
    client = Client(broker.published("raw"), head("VolumeDriver.Create", length=10) + b"{")
    received = client.rest()
    assert received.startswith(b"HTTP/1.1 408 ") and b"VolumeDriver.Create" in received and plugin.url.encode() not in received
    assert ended.wait(10)
    assert broker.plugin("raw")["State"] == "active"
    client.close()


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "within it"])
def test_a_body_that_drips_does_not_move_the_deadline(raw, begun):
    ended = threading.Event()

    def read_all(connection, number):
        if begun:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        while connection.recv(65536):
            pass
        ended.set()
        return False
    broker, _plugin = raw(read_all, "--answer-timeout", "1", impatient=True)
    client = Client(broker.published("raw"), head("VolumeDriver.Create", length=1000))
    stop = threading.Event()

    def drip():
        with contextlib.suppress(OSError):
            while not stop.wait(0.05):
                client.send(b"x")
    sender = threading.Thread(target=drip)
    sender.start()
    try:
        received = client.rest(cut_off=begun)
    finally:
        stop.set()
        sender.join()
    if begun:
        assert b" 200 OK" in received and not received.endswith(b"0\r\n\r\n")
    else:
        assert received.startswith(b"HTTP/1.1 408 ") and b"16 KiB" in received and b"VolumeDriver.Create" in received, received
    assert ended.wait(10), "the plugin is told that no more comes"
    client.close()


def test_a_stream_whose_plugin_does_not_read_its_request_goes_on(raw):
    """Then nobody is late: the plugin has begun to answer, and the client has nowhere to send to."""
    rest = threading.Event()

    def stream(connection, number):
        if number > 1:
            rest.wait(30)
            return False
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        rest.wait(30)
        connection.sendall(b"4\r\nlast\r\n0\r\n\r\n")
        return False
    broker, _plugin = raw(stream, "--answer-timeout", "1.5", impatient=True)
    client = Client(broker.published("raw"), head(length=64 << 20))
    client.socket.settimeout(0.1)  # for nothing to move any more
    with contextlib.suppress(TimeoutError):
        while True:
            client.socket.send(bytes(65536))
    client.socket.settimeout(30)
    client.until(b"first")
    for _ in range(2):
        assert broker.call("raw", "VolumeDriver.List").status == 504
    assert client.is_silent()
    rest.set()
    client.until(b"last\r\n")
    client.close()


def endless(connection, number):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")


def counted(connection, number):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
    while True:
        connection.sendall(bytes(1 << 20))


@pytest.mark.parametrize("content", [endless, counted])
def test_an_engine_that_takes_nothing_of_an_answer_is_closed(raw, content):
    broker, plugin = raw(content, "--unread-timeout", "1")
    deaf, reader = Client(broker.published("raw"), head()), Client(broker.published("raw"), head())
    reader.until(b"\r\n\r\n")
    closed = select.poll()
    closed.register(deaf.socket, 0)
    while not closed.poll(10):  # whoever reads meanwhile, however long, is not closed
        reader.socket.recv(1 << 20)
    assert reader.socket.recv(1 << 20)
    wait_until(lambda: "took nothing of an answer for 1 s (unread-timeout)" in broker.process.output(), "word of it")
    assert broker.plugin("raw")["State"] == "active"
    deaf.close()
    reader.close()


def test_an_engine_that_asks_on_and_reads_nothing_is_closed(raw):
    broker, _plugin = raw(lambda connection, number: connection.sendall(answer(bytes(60_000))) or True, "--unread-timeout", "1")
    deaf = Client(broker.published("raw"), head() * 100)
    closed = select.poll()
    closed.register(deaf.socket, 0)
    wait_until(lambda: closed.poll(0), "the end of its connection", 30)
    deaf.close()


def test_zero_is_any_time_for_an_engine_to_read(raw):
    broker, _plugin = raw(lambda connection, number: connection.sendall(answer(bytes(4 << 20))) or True, "--unread-timeout", "0",
                          "--answer-timeout", "slow=0.5")
    slow = RawPlugin(broker.directory / "slow.sock", lambda connection, number: connection.recv(1) and False)
    broker.define("slow", slow.url)
    broker.wait_state("slow", "active")
    patient = Client(broker.published("raw"), head())
    for _ in range(3):
        assert broker.call("slow", "VolumeDriver.List").status == 504
    received = len(patient.until(b"\r\n\r\n"))
    while received < 4 << 20:
        piece = patient.socket.recv(1 << 20)
        assert piece
        received += len(piece)
    patient.close()
    slow.close()


@pytest.mark.parametrize("continued", [False, True])
def test_who_is_late_where_the_client_waits_for_100_continue(raw, continued):
    ended = threading.Event()

    def hesitate(connection, number):
        if continued:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while connection.recv(65536):
            pass
        ended.set()
        return False
    broker, _plugin = raw(hesitate, "--answer-timeout", "0.3", impatient=True)
    client = Client(broker.published("raw"), head("VolumeDriver.Create", 10, b"Expect: 100-continue\r\n"))
    received = client.rest()
    if continued:
        assert received.startswith(b"HTTP/1.1 100 ") and b"HTTP/1.1 408 " in received
    else:
        assert received.startswith(b"HTTP/1.1 504 ")
    assert ended.wait(10)
    client.close()


def test_a_client_that_has_finished_sending_still_gets_its_answer(raw):
    """Half-closed while the call waits for its turn, is under way, and after its answer has begun."""
    begun, rest = threading.Event(), threading.Event()

    def in_two_parts(connection, number):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        begun.set()
        rest.wait(30)
        connection.sendall(b"cd")
        return True
    broker, plugin = raw(in_two_parts)
    early = Client(broker.published("raw"), head() * 2)
    early.socket.shutdown(socket.SHUT_WR)
    late = Client(broker.published("raw"), head())
    assert begun.wait(10)
    late.until(b"ab")
    late.socket.shutdown(socket.SHUT_WR)
    rest.set()
    assert late.rest() == b"cd"
    assert early.rest().count(b"abcd") == 2
    assert plugin.number == 3
    early.close()
    late.close()


def test_a_head_that_does_not_come_to_its_end(broker, mobyfs):
    plugin = mobyfs()
    broker = broker(extra=["--request-timeout", "1"])
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    idle = Client(broker.published("mobyfs"))
    kept = Client(broker.published("mobyfs"), head(length=2) + b"{}")
    assert b" 200 OK" in kept.until(b"}")
    kept.send(head()[:20])  # the second head on its connection
    slow = [Client(broker.published("mobyfs"), beginning) for beginning in (b"P", head()[:-2], b"\r\n")]
    dripping = Client(broker.published("mobyfs"))
    stop = threading.Event()

    def drip():
        """A byte now and then does not move the deadline."""
        try:
            for byte in head(more=b"X-Padding: " + b"x" * 5000 + b"\r\n"):
                dripping.send(bytes([byte]))
                if stop.wait(0.02):
                    return
        except OSError:
            pass
    sender = threading.Thread(target=drip)
    sender.start()
    try:
        for client in (*slow, kept, dripping):
            received = client.rest()
            assert received.startswith(b"HTTP/1.1 408 ") and b"request-timeout" in received, received
    finally:
        stop.set()
        sender.join()
    # Nobody who says nothing is late: an engine keeps its connections.
    assert b" 200 OK" in idle.send(head(length=2) + b"{}").until(b"}")
    for client in (*slow, kept, dripping, idle):
        client.close()


# -- of plugins that are down -----------------------------------------------------------------------------------------


def test_the_window_counts_from_when_the_plugin_went_down(broker, mobyfs):
    """A call that comes late in the window waits for the rest of it, not for another one."""
    plugin = mobyfs()
    broker = broker(timeout=3)
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    plugin.stop()
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        calls = [pool.submit(broker.call, "mobyfs", "VolumeDriver.List", timeout=30)]
        broker.wait_state("mobyfs", "activating")

        def failed_after_one_more_call():
            calls.append(pool.submit(broker.call, "mobyfs", "VolumeDriver.List", timeout=30))
            return broker.plugin("mobyfs")["State"] == "failed"
        wait_until(failed_after_one_more_call, "failed plugin", 15, 0.1)
        _ended, waiting = concurrent.futures.wait(calls, 2)
        assert not waiting
    assert len(calls) > 10
    for call in calls:
        reply = call.result()
        assert reply.status == 503
        for part in ("mobyfs", plugin.url, "refused", "tried for 3 s"):
            assert part in reply.error, reply


def test_while_a_plugin_is_down_one_probe_decides_for_all(broker, mobyfs):
    plugin = mobyfs()
    broker = broker(timeout=1)
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    plugin.stop()
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        statuses = {call.result().status for call in [pool.submit(broker.call, "mobyfs", "VolumeDriver.List") for _ in range(32)]}
        assert statuses == {503}
        broker.wait_state("mobyfs", "failed")
        before = len(plugin.calls("Plugin.Activate"))
        plugin.start()
        broker.wait_state("mobyfs", "active", 20)
        statuses = {call.result().status for call in [pool.submit(broker.call, "mobyfs", "VolumeDriver.List") for _ in range(32)]}
        assert statuses == {200}
    assert len(plugin.calls("Plugin.Activate")) == before + 1


@pytest.mark.parametrize("trouble", ["nobody", "silent", "broken"])
def test_what_a_broker_error_says(broker, mobyfs, trouble):
    """Plugin, endpoint, cause, and what was tried."""
    url = f"tcp://127.0.0.1:{free_port()}" if trouble == "nobody" else mobyfs(
        broken="never-answer" if trouble == "silent" else "not-json").url
    broker = broker(timeout=1)
    broker.define("wanted", url)
    broker.start()
    broker.wait_state("wanted", "failed")
    reply = broker.call("wanted", "VolumeDriver.List")
    assert reply.status == 503
    cause = {"nobody": "connection refused", "silent": "did not answer", "broken": "JSON"}[trouble]
    tried = {"nobody": "tried for 1 s", "silent": "tried for 1 s", "broken": "asked again every"}[trouble]
    for part in ("plugin wanted", url, cause, tried):
        assert part in reply.error, reply
