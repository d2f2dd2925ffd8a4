"""Clients that break every rule on the control socket: the others go on being answered, and nothing is left of them.

What a single request is answered is shown by the unit tests of the HTTP server (tests/unit/control); here it is what others notice.
BROKERD_CHAOS_SECONDS, as for a storm, makes the numbers those that are named; otherwise fewer events happen."""

import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest
from harness import isolation, unix_http
from harness.managed import install, leftovers, succeed
from harness.neighbour import Neighbour
from harness.plugin_images import make_plugin
from harness.remains import Figures, Remains
from harness.served_image import ServedImage, layer
from harness.waiting import wait_until
from lying_registry import LyingRegistry, content, stall, whole

LONG = "BROKERD_CHAOS_SECONDS" in os.environ
#: More than any client needs that is neither slow nor many.
CROWD = 1000
EVENTS = 10_000 if LONG else 1_200
#: More than brokerd has at a time.
MANY_JOBS = 200
#: Of brokerd, for clients that leave nothing behind: what the allocator keeps.
SPARE_KIB = 32 << 10
NAME = "acme/quiet:latest"  # the neighbour's
OTHER = "acme/rude:latest"
LONGEST = f"acme/{'x' * 200}:latest"  # so that few events fill a watcher's queue


@pytest.fixture
def quiet(broker, directory):
    """A broker with two plugins, disabled. Its state is in memory: what is done a thousand times here is not about the disk."""
    broker = broker()
    broker.state.mkdir(mode=0o700)
    isolation.mount_in_memory(broker.state)
    broker.start()
    made = make_plugin(directory / "p")
    for name in (NAME, OTHER):
        succeed(broker.pluginctl("create", name, made))
    return broker


@pytest.fixture
def neighbour(quiet):
    """Somebody else. In the end brokerd must be as it was."""
    remains = Remains(quiet)
    quiet.get("/plugins")
    before, memory = Figures(quiet, remains), quiet.memory()
    # Each job's thread waits for another job for ten seconds: so does a long run, and in another one many may be there.
    before.threads += 2 if LONG else MANY_JOBS
    neighbour = Neighbour(quiet, NAME)
    neighbour.goes_on()
    yield neighbour
    neighbour.stop()
    wait_until(lambda: not Figures(quiet, remains).more_than(before),
               lambda: f"what it was: {Figures(quiet, remains).more_than(before)}", 60, 0.1)
    wait_until(lambda: leftovers(quiet) == [], lambda: f"nothing to be left: {leftovers(quiet)}")
    assert quiet.memory() - memory <= SPARE_KIB, (memory, quiet.memory())


@pytest.fixture
def connect(quiet):
    """Makes connections, which the test or its end closes."""
    with contextlib.ExitStack() as stack:
        def made(data=b""):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(60)
            client.connect(str(quiet.control))
            client.sendall(data)
            return client
        yield made


def rest_of(client):
    """Everything until the other side ends the connection."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def post(path, *fields, body=b"", version="1.1"):
    head = "\r\n".join([f"POST {path} HTTP/{version}", "Host: x", *fields])
    return head.encode() + b"\r\n\r\n" + body


#: What many clients send and then keep open.
UNFINISHED = {
    "nothing": b"",
    "half a head": b"POST /plugins/create?name=acme/x HTTP/1.1\r\nHost: x\r\nContent-Le",
    "half a JSON body": post(f"/plugins/{OTHER}/set", "Content-Length: 100", body=b'["DEBUG=2'),
    "a body in chunks without an end": post(f"/plugins/{OTHER}/set", "Transfer-Encoding: chunked", body=b'1\r\n[\r\n'),
    "a request after the other, and no answer read": b"GET /plugins HTTP/1.1\r\nHost: x\r\n\r\n" * 500,
}


#: The same of what is streamed to a job, of which there are 128 at a time.
UNFINISHED_TARS = [
    post("/plugins/create?name=acme/half{}", "Content-Length: 100000", body=b"config.json" + bytes(5000)),
    post("/plugins/create?name=acme/huge{}", f"Content-Length: {1 << 40}"),
    post("/plugins/create?name=acme/later{}", "Content-Length: 5000", "Expect: 100-continue"),
]


@pytest.mark.parametrize("what", [*UNFINISHED, "tars"])
def test_many_unfinished_requests_keep_nobody_waiting(quiet, neighbour, connect, what):
    if what == "tars":
        clients = [connect(data.replace(b"{}", b"%d" % number)) for number in range(80) for data in UNFINISHED_TARS]
        succeed(quiet.pluginctl("create", "acme/among", quiet.directory / "p"))
        succeed(quiet.pluginctl("rm", "acme/among"))
    else:
        clients = [connect(UNFINISHED[what]) for _ in range(300)]
    neighbour.goes_on()
    assert quiet.memory() < 100 << 10
    for client in clients:
        client.close()
    neighbour.goes_on()


@pytest.mark.parametrize("sent", ["nothing", "half a head"])
def test_more_connections_than_brokerd_keeps_keep_nobody_waiting(many_descriptors, quiet, neighbour, connect, sent):
    clients = [connect(UNFINISHED[sent]) for _ in range(CROWD + CROWD // 2)]
    neighbour.goes_on()
    for client in clients:
        client.close()
    neighbour.goes_on()


#: (request, status of the answer), after which the connection is ended
REFUSED = {
    "a length of a terabyte, and nothing": (post(f"/plugins/{OTHER}/set", f"Content-Length: {1 << 40}"), 413),
    "a length that no number holds": (post(f"/plugins/{OTHER}/set", f"Content-Length: {10 ** 30}"), 400),
    "a negative length": (post(f"/plugins/{OTHER}/set", "Content-Length: -1"), 400),
    "two lengths": (post(f"/plugins/{OTHER}/set", "Content-Length: 2", "Content-Length: 3", body=b"[]x"), 400),
    "more than a mebibyte": (post(f"/plugins/{OTHER}/set", f"Content-Length: {2 << 20}", body=b"[" + b" " * 1000), 413),
    "more than a mebibyte in chunks": (post(f"/plugins/{OTHER}/set", "Transfer-Encoding: chunked",
                                            body=b"".join(b"10000\r\n" + b" " * 65536 + b"\r\n" for _ in range(17))), 413),
    **{f"a chunk of {size!r} bytes": (post(f"/plugins/{OTHER}/set", "Transfer-Encoding: chunked", body=size + b"\r\n[]\r\n0\r\n\r\n"), 400)
       for size in (b"", b"-2", b"0x2", b"2 2", b"g", b"10000000000000000", b"\xb2")},
    "a chunk longer than it says": (post(f"/plugins/{OTHER}/set", "Transfer-Encoding: chunked", body=b"1\r\n[]\r\n0\r\n\r\n"), 400),
    "a length and chunks": (post(f"/plugins/{OTHER}/set", "Content-Length: 2", "Transfer-Encoding: chunked", body=b"2\r\n[]\r\n0\r\n\r\n"), 400),
    "a head without end": (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000, 431),
    "a body that is no JSON": (post(f"/plugins/{OTHER}/set", "Content-Length: 9", "Connection: close", body=b'["DEBUG=2'), 400),
}


def test_what_is_refused_is_refused_at_once(quiet, neighbour, connect):
    for what, (request, status) in REFUSED.items():
        for _ in range(10):
            client = connect()
            with contextlib.suppress(BrokenPipeError):  # where it is refused before all is sent
                client.sendall(request)
            answer = rest_of(client)
            assert answer.startswith(b"HTTP/1.1 %d " % status), (what, answer)
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"], what
        neighbour.goes_on()
        assert b"DEBUG=2" not in quiet.get(f"/plugins/{OTHER}/json").body, what


def test_more_than_a_body_is_the_next_request(quiet, neighbour, connect):
    client = connect(post(f"/plugins/{OTHER}/set", "Content-Length: 11", body=b'["DEBUG=1"]and more\r\n\r\n'))
    answers = rest_of(client)
    assert answers.startswith(b"HTTP/1.1 204 ") and b"HTTP/1.1 400 " in answers, answers
    neighbour.goes_on()


def test_pipelined_calls_are_answered_in_their_order(quiet, neighbour, connect):
    targets = ["/_ping", f"/plugins/{OTHER}/json", "/plugins", "/plugins/nobody/json"] * 50
    client = connect("".join(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n" for target in [*targets[:-1]]).encode()
                     + f"GET {targets[-1]} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answers = rest_of(client).split(b"HTTP/1.1 ")[1:]
    assert [int(answer[:3]) for answer in answers] == [200, 200, 200, 404] * 50
    assert {answer.partition(b"\r\n\r\n")[2][:1] for answer in answers[2::4]} == {b"["}
    neighbour.goes_on()


@pytest.mark.usefixtures("neighbour")
def test_http_1_0(connect):
    assert rest_of(connect(b"GET /_ping HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\nOK")
    answer = rest_of(connect(post(f"/plugins/{OTHER}/set", "Content-Length: 11", "Expect: 100-continue", body=b'["DEBUG=1"]', version="1.0")))
    assert answer.startswith(b"HTTP/1.1 204 "), answer
    client = connect(b"GET /_ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
    assert rest_of(client).endswith(b"\r\n\r\nOK")


@pytest.mark.usefixtures("neighbour")
def test_continue_is_said_before_a_body_that_waits_for_it(connect):
    client = connect(post(f"/plugins/{OTHER}/set", "Content-Length: 11", "Expect: 100-continue", "Connection: close"))
    assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b'["DEBUG=1"]')
    assert rest_of(client).startswith(b"HTTP/1.1 204 ")


@pytest.mark.slow
def test_watchers_that_do_not_read_are_dropped(quiet, neighbour, connect):
    """They cost what a socket holds and a bounded queue, until then."""
    succeed(quiet.pluginctl("create", LONGEST, quiet.directory / "p"))
    watchers = [connect(b"GET /broker/v1/events HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(20)]
    watchers += [connect(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(20)]
    reader = quiet.events()
    connection = unix_http.Connection(quiet.control, 60)
    with contextlib.closing(connection):
        for number in range(EVENTS):
            assert unix_http.send(connection, "POST", f"/plugins/{LONGEST}/set", [f"DEBUG={number}"]).status == 204
    neighbour.goes_on()
    assert quiet.memory() < 100 << 10
    succeed(quiet.pluginctl("create", "acme/last", quiet.directory / "p"))
    reader.wait_for("acme/last:latest", "installed", 60)
    assert sum(event["Action"] == "set" for event in reader.seen) >= EVENTS
    assert quiet.process.output().count("dropped a watcher") == 20
    for watcher in watchers:
        watcher.close()
    reader.close()
    neighbour.goes_on()


# -- rude to an operation ---------------------------------------------------------------------------------------------

BLOB = layer({"etc/data": os.urandom(3 << 20)})


@pytest.fixture
def lying(closing):
    return closing.add(LyingRegistry())


@pytest.fixture
def held():
    """Holds a registry's answer back until it is set."""
    event = threading.Event()
    yield event
    event.set()


def test_a_pull_whose_progress_nobody_reads_is_done(quiet, neighbour, connect, lying, held):
    image = ServedImage(lying, "acme/p", [BLOB])

    def slow(request, connection):
        held.wait(60)
        return content(BLOB)(request, connection)
    image.lie(BLOB, slow)
    client = connect(post(f"/plugins/pull?remote={image.name}&name=acme/unread", "Content-Length: 2", body=b"[]"))
    assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: lying.to(image.blob_path(BLOB)), "request for the layer")
    neighbour.goes_on()
    held.set()
    wait_until(lambda: quiet.get("/plugins/acme/unread/json").status == 200, "the plugin", 30)
    neighbour.goes_on()
    assert b"error" not in client.recv(1 << 20)
    client.close()
    succeed(quiet.pluginctl("rm", "acme/unread"))


@pytest.mark.parametrize("where", ["before the answer", "within its progress"])
def test_a_pull_that_is_given_up_ends(quiet, neighbour, connect, lying, held, where):
    image = ServedImage(lying, "acme/p", [BLOB])
    image.lie(BLOB, stall(BLOB, 1 << 20))
    client = connect(post(f"/plugins/pull?remote={image.name}&name=acme/left", "Content-Length: 2", body=b"[]"))
    if where == "within its progress":
        client.recv(100)
    wait_until(lambda: lying.to(image.blob_path(BLOB)), "request for the layer")
    neighbour.goes_on()
    client.close()
    wait_until(lambda: leftovers(quiet) == [], "end of the pull")
    image.be_honest()
    wait_until(lambda: install(quiet, image.name).returncode == 0, "free name", 30)
    succeed(quiet.pluginctl("rm", image.name))
    neighbour.goes_on()


def test_a_push_that_is_given_up_ends(quiet, neighbour, connect, lying, directory):
    name = f"{lying.host}/acme/pushed:latest"
    succeed(quiet.pluginctl("create", name, make_plugin(directory / "pushed", size=1 << 20)))
    stalled = threading.Event()

    def never(_request, connection):
        stalled.set()
        with contextlib.suppress(OSError):
            connection.recv(1)  # until brokerd ends the connection
        return False
    lying.answers[("POST", "/v2/acme/pushed/blobs/uploads/")] = whole(202, Location="/v2/acme/pushed/blobs/uploads/1")
    for method in ("PATCH", "PUT"):
        lying.answers[(method, "/v2/acme/pushed/blobs/uploads/1")] = never
    client = connect(post(f"/plugins/{name}/push", "Content-Length: 0"))
    assert stalled.wait(30)
    neighbour.goes_on()
    assert quiet.get(f"/plugins/{name}/json").status == 200
    client.close()
    wait_until(lambda: subprocess.run(quiet.pluginctl_command("rm", name), capture_output=True, check=False).returncode == 0, "free plugin", 30)
    neighbour.goes_on()
