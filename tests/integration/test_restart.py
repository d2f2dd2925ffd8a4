"""brokerd goes away, cleanly or not, and comes back; what is not its own it never touches."""

import os
import socket

import pytest
from harness import unix_http
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
