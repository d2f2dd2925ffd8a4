"""The engine asks before the plugin is there."""

import concurrent.futures
import time

import pytest
from harness import plugins, unix_http
from harness.plugins import free_port


def timed(function, *arguments, **options):
    begin = time.monotonic()
    result = function(*arguments, **options)
    return result, time.monotonic() - begin


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_request_waits_for_its_plugin(broker, mobyfs, directory, kind):
    url = f"unix://{directory}/moby.sock" if kind == "unix" else "tcp"
    plugin = mobyfs(url, late=2, wait=False)
    broker = broker(timeout=10)
    broker.define("late", plugin.url)
    broker.start()
    assert broker.plugin("late")["State"] in ("discovered", "activating")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        activate = pool.submit(broker.call, "late", "Plugin.Activate", timeout=30)
        create = pool.submit(broker.call, "late", "VolumeDriver.Create", {"Name": "vol"}, timeout=30)
        lookup = pool.submit(broker.lookup, "late", "VolumeDriver", timeout=20)
        assert activate.result().json() == {"Implements": ["VolumeDriver"]}
        assert create.result().json() == {"Err": ""}
        assert lookup.result().status == 200
    assert len(plugin.calls("VolumeDriver.Create")) == 1


def test_without_a_plugin_a_request_fails_at_the_end_of_the_window_and_the_next_at_once(broker):
    url = f"tcp://127.0.0.1:{free_port()}"
    broker = broker(timeout=3)
    broker.define("absent", url)
    broker.start()
    reply, took = timed(broker.call, "absent", "VolumeDriver.List", timeout=30)
    assert reply.status in (502, 503, 504)
    assert "absent" in reply.error and url in reply.error and "refused" in reply.error.lower()
    assert took < 8
    broker.wait_state("absent", "failed")
    for _ in range(3):
        reply, took = timed(broker.call, "absent", "VolumeDriver.List", timeout=30)
        assert reply.status in (502, 503, 504)
        assert "refused" in reply.error.lower()
        assert took < 1


def test_a_plugin_that_comes_after_the_window_becomes_active_by_itself(broker, mobyfs):
    plugin = mobyfs(wait=True)
    plugin.stop()
    broker = broker(timeout=1)
    broker.define("absent", plugin.url)
    broker.start()
    broker.wait_state("absent", "failed")
    plugin.start()
    broker.wait_state("absent", "active", 30)
    assert broker.call("absent", "VolumeDriver.List").status == 200


def test_a_plugin_that_goes_away_is_reported_down_and_comes_back(broker, mobyfs):
    plugin = mobyfs()
    broker = broker(timeout=2)
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200
    plugin.stop()
    assert broker.call("mobyfs", "VolumeDriver.List", timeout=30).status in (502, 503, 504)
    broker.wait_state("mobyfs", "failed", 20)
    reply, took = timed(broker.call, "mobyfs", "VolumeDriver.List", timeout=30)
    assert reply.status in (502, 503, 504) and took < 1
    plugin.start()
    broker.wait_state("mobyfs", "active", 30)
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200


def test_a_call_during_a_short_restart_of_the_plugin_waits(broker, mobyfs):
    """Nothing of the request has left yet, so connecting is retried within the window."""
    plugin = mobyfs()
    broker = broker(timeout=15)
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    plugin.stop()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        create = pool.submit(broker.call, "mobyfs", "VolumeDriver.Create", {"Name": "vol"}, timeout=30)
        plugin.start(late=1)
        assert create.result().json() == {"Err": ""}
    assert len(plugin.calls("VolumeDriver.Create")) == 1


def test_nobody_behind_a_socket_does_not_block_the_engine(engine_broker, dockerd):
    """moby #22653: a socket that nobody listens on blocks every `docker volume ls` for 15 s."""
    broker = engine_broker(timeout=1)
    broker.define("absent", f"tcp://127.0.0.1:{free_port()}")
    broker.start()
    engine = dockerd()
    broker.wait_state("absent", "failed")
    names, took = timed(engine.volumes)
    assert names == []
    assert took < 10


@pytest.mark.long
def test_the_full_window(engine_broker, directory, closing, dockerd):
    """With the real 30 s: two plugins, one comes up 20 s after it was asked for, the other never does."""
    broker = engine_broker(timeout=30)
    absent_url, late_url = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    broker.define("absent", absent_url)
    broker.define("late", late_url)
    engine = dockerd()
    broker.start()
    plugin = closing.add(plugins.Mobyfs(directory, late_url, late=20, wait=False))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        raw = pool.submit(timed, unix_http.call, broker.published("late"), "VolumeDriver.Create", {"Name": "raw"}, 60)
        docker = pool.submit(engine.create_volume, "late", "vol")
        lost = pool.submit(timed, unix_http.call, broker.published("absent"), "VolumeDriver.List", {}, 60)
        reply, took = raw.result()
        assert reply.json() == {"Err": ""}
        assert took > 15
        docker.result()
        reply, took = lost.result()
        assert reply.status in (502, 503, 504)
        assert "absent" in reply.error and absent_url in reply.error and "refused" in reply.error.lower()
        assert 25 < took < 40
    assert engine.run("vol", "echo late > /v/file; cat /v/file") == "late\n"
    reply, took = timed(broker.call, "absent", "VolumeDriver.List", timeout=60)
    assert reply.status in (502, 503, 504) and took < 1
    assert "refused" in reply.error.lower()
    created = [call["Body"] for call in plugin.calls("VolumeDriver.Create")]
    assert len(created) == 2, created
