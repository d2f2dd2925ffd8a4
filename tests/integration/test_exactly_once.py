"""Once a byte of a request has left, it is never sent a second time.

BROKERD_CALLS says how many calls are made while the plugin is killed again and again, once for each thousand (900, and six times)."""

import collections
import concurrent.futures
import itertools
import json
import os
import threading

import pytest
from harness.waiting import wait_until

BROKER_ERRORS = (502, 503, 504)
CALLS = int(os.environ.get("BROKERD_CALLS", "900"))
KILLS = max(6, CALLS // 1000)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_crash_in_mid_call_is_one_502(broker, mobyfs, directory, kind):
    plugin = mobyfs(f"unix://{directory}/moby.sock" if kind == "unix" else "tcp", crash_on="VolumeDriver.Create")
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200  # a pooled connection, which the next call re-uses
    reply = broker.call("mobyfs", "VolumeDriver.Create", {"Name": "id-1"}, timeout=30)
    assert reply.status == 502
    assert "mobyfs" in reply.error and plugin.url in reply.error
    assert [json.loads(call["Body"])["Name"] for call in plugin.calls("VolumeDriver.Create")] == ["id-1"]
    plugin.process.wait()
    plugin.start()
    broker.wait_state("mobyfs", "active", 20)
    assert broker.call("mobyfs", "VolumeDriver.Create", {"Name": "id-2"}, timeout=30).status == 200
    assert [json.loads(call["Body"])["Name"] for call in plugin.calls("VolumeDriver.Create")] == ["id-1", "id-2"]


@pytest.mark.parametrize("mode", ["close", "garbage", "truncated"])
def test_an_answer_that_breaks_off_is_not_asked_for_again(broker, mobyfs, mode):
    plugin = mobyfs(broken=mode, broken_method="VolumeDriver.Create")
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    try:
        reply = broker.call("mobyfs", "VolumeDriver.Create", {"Name": "id-1"}, timeout=30)
        assert reply.status == 502, reply
    except Exception as error:  # a broken-off body can only be told by breaking off, too
        assert mode == "truncated", repr(error)
    assert len(plugin.calls("VolumeDriver.Create")) == 1


def test_no_call_is_seen_twice_while_the_plugin_is_killed_again_and_again(broker, mobyfs):
    plugin = mobyfs()
    broker = broker(timeout=10)
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    numbers, stop, answers = itertools.count(), threading.Event(), {}

    def client():
        while not stop.is_set():
            name = f"id-{next(numbers)}"
            answers[name] = broker.call("mobyfs", "VolumeDriver.Create", {"Name": name}, timeout=60).status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(client) for _ in range(8)]
        try:
            for _ in range(KILLS):
                wanted = len(answers) + CALLS // KILLS
                wait_until(lambda: len(answers) >= wanted, f"{wanted} answers", 300)
                plugin.kill()
                plugin.start()
        finally:
            stop.set()
        for future in clients:
            future.result()
    seen = collections.Counter(json.loads(call["Body"])["Name"] for call in plugin.calls("VolumeDriver.Create"))
    statuses = collections.Counter(answers.values())
    print(f"\n{len(answers)} calls, the plugin killed {KILLS} times: {dict(statuses)}; it has seen {len(seen)} of them, "
          f"{sum(count > 1 for count in seen.values())} more than once")
    assert max(seen.values()) == 1, [name for name, count in seen.items() if count > 1]
    assert set(statuses) <= {200, *BROKER_ERRORS}, statuses
    assert statuses[200] > 0.9 * len(answers) and statuses[502] > 0, statuses
    assert all(seen[name] == 1 for name, status in answers.items() if status == 200)
