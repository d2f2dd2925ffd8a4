"""brokerd goes away, cleanly or not, and comes back; what is not its own it never touches."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket

import pytest
from harness import unix_http
from harness.load import Load
from harness.running import enable_sample
from harness.waiting import wait_until


def end(broker, way):
    if way == "kill":
        broker.kill()
    else:
        broker.stop()


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_published_sockets_come_back(broker, mobyfs, way):
    plugin = mobyfs()
    broker = broker()
    names = [f"plugin{number}" for number in range(10)] + ["vendor/plugin"]
    for name in names:
        broker.define(name, plugin.url)
    for _ in range(3):
        broker.start()
        assert set(broker.plugins()) == set(names), "left-over sockets were taken for plugins"
        for name in names:
            view = broker.wait_state(name, "active")
            assert set(view["Published"]) == {str(broker.published(name)), str(broker.engine_socket(name))}
            for path in view["Published"]:
                assert unix_http.call(path, "VolumeDriver.List").status == 200
        end(broker, way)
        for name in names:
            assert not unix_http.listening(broker.engine_socket(name))


def identity(path):
    status = os.lstat(path)
    return status.st_ino, status.st_mode, status.st_uid, status.st_mtime_ns


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_what_is_not_brokerds_is_never_touched(broker, mobyfs, way):
    broker = broker(timeout=1)
    engine = broker.engine_sockets
    mobyfs(f"unix://{engine}/living.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{engine}/dead.sock")
    (engine / "file.sock").write_text("not a socket")
    (engine / "directory.sock").mkdir()
    (engine / "link.sock").symlink_to("living.sock")
    (engine / "nested").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{engine}/nested/nested.sock")
    (engine / "notes.txt").write_text("mine")
    foreign = sorted(engine.rglob("*"))
    before = {path: identity(path) for path in foreign}
    broker.define("living", "tcp://127.0.0.1:9")
    broker.define("dead", "tcp://127.0.0.1:9")
    broker.define("own", "tcp://127.0.0.1:9")
    for _ in range(2):
        broker.start()
        broker.wait_state("living", "active")
        assert broker.plugin("living")["Definition"] == f"{engine}/living.sock"
        wait_until(lambda: broker.engine_socket("own").exists(), "engine-visible socket of the third")
        end(broker, way)
        assert {path: identity(path) for path in foreign} == before
    (broker.specs[0] / "own.spec").unlink()
    broker.start()
    wait_until(lambda: not broker.engine_socket("own").exists(), "removal of the left-over socket")
    assert broker.plugin("own") is None
    broker.stop()
    assert sorted(engine.rglob("*")) == foreign
    assert {path: identity(path) for path in foreign} == before


def test_a_socket_that_somebody_put_in_place_of_ours_is_left_alone(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    broker.kill()
    broker.engine_socket("mobyfs").unlink()
    own = mobyfs(f"unix://{broker.engine_socket('mobyfs')}", name="own", implements="VolumeDriver,authz")
    before = identity(broker.engine_socket("mobyfs"))
    broker.start()
    view = broker.wait_state("mobyfs", "active")
    assert view["Definition"] == str(broker.engine_socket("mobyfs"))
    assert view["Implements"] == ["VolumeDriver", "authz"]
    assert identity(broker.engine_socket("mobyfs")) == before
    assert own.calls("Plugin.Activate")
    broker.stop()
    assert identity(broker.engine_socket("mobyfs")) == before


def test_a_plugin_that_takes_the_engine_visible_place_while_we_run(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    mobyfs(f"unix://{broker.engine_socket('mobyfs')}", name="own", implements="authz")
    wait_until(lambda: broker.plugin("mobyfs")["Implements"] == ["authz"], "plugin's own socket in use")
    assert str(broker.engine_socket("mobyfs")) not in broker.plugin("mobyfs")["Published"]
    assert broker.call("mobyfs", "AuthZPlugin.AuthZReq").json()["Allow"] is True
    assert unix_http.call(broker.engine_socket("mobyfs"), "AuthZPlugin.AuthZReq").json()["Allow"] is True


def test_an_engine_visible_socket_that_is_removed_comes_back(broker, mobyfs):
    """Somebody cleans /run/docker/plugins, as dockerd's packages do."""
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    broker.engine_socket("mobyfs").unlink()
    broker.reload()
    wait_until(lambda: unix_http.listening(broker.engine_socket("mobyfs")), "engine-visible socket again")


def test_two_brokers_do_not_fight(broker):
    """The second one ends with an error and leaves the first one's sockets alone."""
    first, second = broker(), broker()
    first.define("mobyfs", "tcp://127.0.0.1:9")
    first.start()
    assert str(first.control) in second.refuse()
    assert first.get("/broker/v1/healthz").status == 200
    assert unix_http.listening(first.published("mobyfs"))
    assert unix_http.listening(first.engine_socket("mobyfs"))


def test_many_restarts_leave_nothing_behind(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    for number in range(30):
        broker.define(f"plugin{number}", plugin.url)
    for turn in range(6):
        broker.start()
        end(broker, "kill" if turn % 2 else "stop")
    for number in range(30):
        (broker.specs[0] / f"plugin{number}.spec").unlink()
    broker.start()
    wait_until(lambda: broker.plugins() == {}, "empty table")
    broker.stop()
    assert list(broker.engine_sockets.rglob("*")) == []
    assert [path for path in broker.runtime.rglob("*") if path.is_socket()] == []


# -- with a descriptor store, as below systemd -----------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_no_call_fails_across_ten_restarts(broker, mobyfs, closing, threads):
    plugin = mobyfs()
    broker = broker(threads=threads).keep_sockets()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    load = closing.add(Load(broker.published("mobyfs")))
    for _ in range(10):
        load.wait_for_calls(20)
        broker.stop()
        broker.start()
    load.wait_for_calls(20)
    load.close()
    assert load.failures == []
    assert len(broker.store.sockets()) == 1


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_call_that_comes_while_brokerd_is_away_is_answered_by_the_next(broker, mobyfs, way):
    plugin = mobyfs()
    broker = broker().keep_sockets()
    for name in ("mobyfs", "vendor/plugin:latest"):
        broker.define(name, plugin.url)
    broker.start()
    for name in ("mobyfs", "vendor/plugin:latest"):
        broker.wait_state(name, "active")
    before = {path: identity(path) for path in (broker.published("mobyfs"), broker.engine_socket("vendor/plugin:latest"))}
    for _ in range(3):
        end(broker, way)
        waiting = []
        for path in before:
            connection = unix_http.Connection(path, timeout=30)
            connection.request("POST", "/VolumeDriver.Capabilities", b"{}")
            waiting.append(connection)
        broker.start()
        for connection in waiting:
            response = connection.getresponse()
            assert response.status == 200, response.read()
            connection.close()
        for path, was in before.items():
            assert identity(path)[0] == was[0]
    assert len(broker.store.sockets()) == 2


def send_call(connection):
    connection.request("POST", "/VolumeDriver.Capabilities", b"{}")


def answers(connections):
    responses = [connection.getresponse() for connection in connections]
    return [(response.status, bool(response.read())) for response in responses]


def keeper_of(broker):
    """The process that keeps the broker's connections: its pid."""
    tasks = pathlib.Path(f"/proc/{broker.process.pid}/task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
    keeper, = [child for child in children if pathlib.Path(f"/proc/{child}/comm").read_text(encoding="ascii") == "brokerd-keeper\n"]
    return keeper


def lives(pid):
    """It may have ended and be nobody's to wait for."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_threads(broker, state):
    """Until all threads are in this state, as proc(5) has them."""
    def states():
        stats = pathlib.Path(f"/proc/{broker.process.pid}/task").glob("*/stat")
        return {path.read_text(encoding="ascii").rpartition(")")[2].split()[0] for path in stats}
    wait_until(lambda: states() == {state}, lambda: f"process in state {state}: {states()}")


def wait_at_rest(broker):
    """An engine may have its answer before brokerd is done with it."""
    wait_threads(broker, "S")


def stand_still(broker):
    broker.process.signal(signal.SIGSTOP)
    wait_threads(broker, "T")  # a thread hears of it later than another


@pytest.mark.parametrize("threads", [1, 3])
def test_a_call_that_a_killed_brokerd_has_not_read_is_answered_by_the_next(broker, mobyfs, threads):
    """On connections that engines keep: they stay, and what is written to them meanwhile is read by the next one."""
    plugin = mobyfs()
    broker = broker(threads=threads).keep_sockets()
    for name in ("mobyfs", "vendor/plugin:latest"):
        broker.define(name, plugin.url)
    broker.start()
    for name in ("mobyfs", "vendor/plugin:latest"):
        broker.wait_state(name, "active")
    connections = [unix_http.Connection(path, timeout=30) for path in (broker.published("mobyfs"), broker.engine_socket("mobyfs"),
                                                                       broker.published("vendor/plugin:latest")) for _ in range(5)]
    for _ in range(4):
        for connection in connections:
            send_call(connection)
        assert answers(connections) == [(200, True)] * len(connections)
        wait_at_rest(broker)
        stand_still(broker)
        for connection in connections:
            send_call(connection)
        keeper = keeper_of(broker)
        broker.kill()
        broker.start()
        assert not lives(keeper)
        assert answers(connections) == [(200, True)] * len(connections)
    broker.stop()
    for connection in connections:
        connection.close()


def test_a_call_that_a_killed_brokerd_was_at_is_told_so_and_not_repeated(broker, mobyfs):
    """Nobody knows what has become of it. An engine whose connection just ended would send it again."""
    plugin = mobyfs(delay_method="VolumeDriver.Create=60")
    broker = broker().keep_sockets()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    begun, partly, half = (unix_http.Connection(broker.published("mobyfs"), timeout=30) for _ in range(3))
    begun.request("POST", "/VolumeDriver.Create", b'{"Name":"once"}')
    for connection, sent in ((partly, b"POST /VolumeDriver.Capabilities HTTP/1.1\r\nContent-Le"),
                             (half, b"POST /VolumeDriver.Create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")):
        connection.connect()
        connection.sock.sendall(sent)
    wait_until(lambda: plugin.calls("VolumeDriver.Create"), "call at the plugin")
    broker.call("mobyfs", "VolumeDriver.Capabilities")  # what came before it has been read by now
    wait_at_rest(broker)
    half.sock.sendall(b"more")
    broker.kill()
    broker.start()
    for connection in (begun, half):
        response = connection.getresponse() if connection is begun else half.response_class(half.sock)
        if connection is half:
            response.begin()
        told = json.loads(response.read())["Err"]
        assert response.status == 502 and "ended in the midst of this call" in told and "not repeated" in told
        assert connection.sock is None or connection.sock.recv(1) == b""
    with contextlib.suppress(ConnectionError):
        assert partly.sock.recv(1) == b""
    assert [json.loads(call["Body"])["Name"] for call in plugin.calls("VolumeDriver.Create") if call["Body"].endswith("}")] == ["once"]
    for connection in (begun, partly, half):
        connection.close()


def test_connections_to_a_plugin_that_went_meanwhile_are_closed(broker, mobyfs):
    plugin = mobyfs()
    broker = broker().keep_sockets()
    broker.define("goes", plugin.url)
    broker.start()
    broker.wait_state("goes", "active")
    connection = unix_http.Connection(broker.published("goes"), timeout=30)
    assert unix_http.send(connection, "POST", "/VolumeDriver.Capabilities", {}).status == 200
    wait_at_rest(broker)
    broker.kill()
    (broker.specs[0] / "goes.spec").unlink()
    broker.start()
    assert connection.sock.recv(1) == b""
    connection.close()


def test_what_keeps_connections_ends_with_its_brokerd(broker):
    broker = broker().keep_sockets()
    broker.start()
    keeper = keeper_of(broker)
    assert len(broker.store.kept) == 2
    broker.stop()
    assert not lives(keeper) and broker.store.kept == []


@pytest.mark.long
def test_what_keeps_connections_ends_by_itself_where_no_brokerd_comes(broker, mobyfs):
    plugin = mobyfs()
    broker = broker().keep_sockets()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    connection = unix_http.Connection(broker.published("mobyfs"), timeout=30)
    assert unix_http.send(connection, "POST", "/VolumeDriver.Capabilities", {}).status == 200
    keeper = keeper_of(broker)
    broker.kill()
    send_call(connection)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.getresponse()
    wait_until(lambda: not lives(keeper), "end of the keeper", 20)


def test_without_a_store_connections_end_with_brokerd(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    connection = unix_http.Connection(broker.published("mobyfs"), timeout=30)
    assert unix_http.send(connection, "POST", "/VolumeDriver.Capabilities", {}).status == 200
    broker.kill()
    assert connection.sock.recv(1) == b""
    connection.close()


@pytest.mark.parametrize("seconds", [1, pytest.param(8, marks=pytest.mark.long)])
def test_a_call_under_way_is_finished_before_brokerd_ends(broker, mobyfs, seconds):
    plugin = mobyfs(delay=seconds)
    broker = broker(timeout=20).keep_sockets()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active", 20)
    connection = unix_http.Connection(broker.published("mobyfs"), timeout=30)
    connection.request("POST", "/VolumeDriver.Capabilities", b"{}")
    wait_until(lambda: plugin.calls("VolumeDriver.Capabilities"), "the call at the plugin")
    broker.stop()
    response = connection.getresponse()
    assert response.status == 200
    assert response.headers["Connection"] == "close"
    connection.close()


@pytest.mark.long
def test_a_call_that_waits_for_too_long_is_told_so(broker):
    broker = broker(timeout=60)
    broker.define("absent", "tcp://127.0.0.1:9")
    broker.start()
    connection = unix_http.Connection(broker.published("absent"), timeout=60)
    connection.request("POST", "/VolumeDriver.Capabilities", b"{}")
    wait_at_rest(broker)  # it has been accepted
    broker.stop()
    response = connection.getresponse()
    told = response.read().decode()
    assert response.status == 503 and "restarted or stopped" in told and "nothing was sent" in told, told
    connection.close()


def test_a_second_sigterm_ends_it_at_once(broker, mobyfs):
    plugin = mobyfs(delay=60)
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.timeout = 90
    plugin.stop()
    plugin.start()
    broker.start()
    broker.wait_state("mobyfs", "active")
    plugin.stop()
    plugin.start(delay=60)
    connection = unix_http.Connection(broker.published("mobyfs"), timeout=30)
    connection.request("POST", "/VolumeDriver.Capabilities", b"{}")
    broker.process.signal(signal.SIGTERM)
    broker.notify.wait_for("STOPPING=1", 10)
    broker.process.signal(signal.SIGTERM)
    assert broker.process.wait(20) == 0
    connection.close()


def test_sockets_of_plugins_that_went_meanwhile_leave_the_store(broker, mobyfs):
    plugin = mobyfs()
    broker = broker().keep_sockets()
    for name in ("stays", "goes"):
        broker.define(name, plugin.url)
    broker.start()
    broker.kill()
    (broker.specs[0] / "goes.spec").unlink()
    broker.start()
    broker.wait_state("stays", "active")
    wait_until(lambda: len(broker.store.sockets()) == 1, lambda: f"one socket in {broker.store.sockets()}")
    assert broker.store.sockets()[0].endswith("/stays")
    assert not broker.engine_socket("goes").exists()
    (broker.specs[0] / "stays.spec").unlink()
    wait_until(lambda: not broker.store.sockets(), lambda: f"nothing in {broker.store.sockets()}")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_socket_whose_file_went_meanwhile_is_bound_anew(broker, mobyfs, replaced):
    plugin = mobyfs()
    broker = broker().keep_sockets()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    broker.stop()
    broker.published("mobyfs").unlink()
    with socket.socket(socket.AF_UNIX) as other:
        if replaced:
            other.bind(str(broker.published("mobyfs")))
            other.listen()
        broker.start()
        broker.wait_state("mobyfs", "active")
        assert broker.call("mobyfs", "VolumeDriver.Capabilities").status == 200
    wait_until(lambda: len(broker.store.sockets()) == 1, lambda: f"one socket in {broker.store.sockets()}")


def test_what_is_no_published_socket_in_the_store_does_no_harm(broker, mobyfs):
    plugin = mobyfs()
    broker = broker().keep_sockets()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    broker.stop()
    ours = broker.store.sockets()[0]
    broker.store.close()
    with socket.socket(socket.AF_UNIX) as foreign, open("/dev/null", "rb") as null:
        foreign.bind(str(broker.directory / "foreign.sock"))
        foreign.listen()
        for name, thing in ((ours, foreign), (ours, null), ("published/nonsense", null), ("published/1-1/absent", foreign),
                            ("stranger", foreign), ("", null)):
            broker.store.kept.append((name, os.dup(thing.fileno())))
        broker.start()
        broker.wait_state("mobyfs", "active")
        assert broker.call("mobyfs", "VolumeDriver.Capabilities").status == 200
        wait_until(lambda: len(broker.store.sockets()) == 3, lambda: f"two strange descriptors and ours: {broker.store.sockets()}")


def test_calls_to_a_managed_plugin_outlive_restarts_of_brokerd(broker, closing):
    """It runs on, is adopted, and is reached by both of its names."""
    broker = broker().keep_sockets()
    broker.start()
    pid = enable_sample(broker, "acme/kept")["Pid"]
    loads = [closing.add(Load(broker.published(name), connections=2, calls_per_second=100)) for name in ("acme/kept", "acme/kept:latest")]
    try:
        for _ in range(10):
            for load in loads:
                load.wait_for_calls(10)
            broker.stop()
            broker.start()
        for load in loads:
            load.wait_for_calls(10)
            load.close()
            assert load.failures == []
        plugin = broker.wait_state("acme/kept:latest", "running")
        assert (plugin["Pid"], plugin["Restarts"]) == (pid, 0)
        assert len(broker.store.sockets()) == 2
    finally:
        broker.pluginctl("rm", "-f", "acme/kept")  # it would outlive the broker
