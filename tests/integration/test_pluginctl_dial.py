"""`pluginctl dial-stdio`, which `-H ssh://` runs on the other host: a socket for the standard streams, every byte or a failure."""

import contextlib
import os
import socket
import subprocess
import threading

import pytest
from harness.brokerd import PLUGINCTL
from harness.process import one_sentence


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
            with contextlib.suppress(BrokenPipeError):
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


def test_reader_that_leaves_too_early(directory):
    """Whoever reads goes while there is still something for him."""
    received = []
    server = echo_server(directory / "echo.sock", received)
    child = subprocess.Popen([PLUGINCTL, "-H", directory / "echo.sock", "dial-stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    child.stdin.write("x" * (5 << 20))
    child.stdin.close()
    assert child.stdout.read(1) == "x"
    child.stdout.close()
    assert child.wait(20) == 1
    assert child.stderr.read() == "pluginctl dial-stdio: whoever reads the output has gone before all was written\n"
    child.stderr.close()
    server.join(20)


@pytest.mark.parametrize("size", [5 << 20, 1], ids=["more than fits", "a byte that waits"])
def test_daemon_that_leaves_too_early(directory, size):
    """It closes the connection, and has not read what was sent: also where that fitted into the socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(directory / "rude.sock"))
        server.listen()
        child = subprocess.Popen([PLUGINCTL, "-H", directory / "rude.sock", "dial-stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        with server.accept()[0] as connection:
            child.stdin.write(b"x")
            child.stdin.flush()
            assert connection.recv(1, socket.MSG_PEEK) == b"x"
            connection.sendall(b"answer")
        output, errors = child.communicate(b"x" * (size - 1), timeout=20)
    assert child.returncode == 1 and output == b"answer"
    assert errors.startswith(b"pluginctl dial-stdio: brokerd closed the connection before it had taken all that was sent")


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
