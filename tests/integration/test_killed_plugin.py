"""A plugin is killed in the middle of a thousand concurrent calls."""

import asyncio
import collections
import json

import pytest
from harness.busy_plugin import BusyPlugin
from harness.plugins import free_port

CALLS, ANSWERED, BEGUN = 1000, 300, 700


async def call(path, name, answers):
    """One call on a connection of its own; puts (status, body) into `answers`."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        body = name.encode()
        writer.write(b"POST /VolumeDriver.Count HTTP/1.1\r\nHost: plugin\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        answers[name] = int(head.split()[1]), await reader.readexactly(size)
    finally:
        writer.close()


async def reached(condition, what, timeout=30):
    for _ in range(timeout * 100):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"after {timeout} s there was still no {what()}")


async def kill_in_mid_call(path, plugin):
    """The answers to all calls, by name."""
    answers = {}
    tasks = [asyncio.create_task(call(path, f"id-{number}", answers)) for number in range(CALLS)]
    try:
        await reached(lambda: len(answers) >= ANSWERED and len(plugin.recorded()) >= BEGUN,
                      lambda: f"{ANSWERED} answers ({len(answers)}) of {BEGUN} calls begun ({len(plugin.recorded())})")
        plugin.kill()
        assert len(answers) == ANSWERED
        plugin.start()
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
    finally:
        for task in tasks:
            task.cancel()
    return answers


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_each_of_a_thousand_calls_ends_once(broker, directory, closing, kind, threads):
    url = f"unix://{directory}/busy.sock" if kind == "unix" else f"tcp://127.0.0.1:{free_port()}"
    plugin = closing.add(BusyPlugin(directory, url, answers=ANSWERED, begins=BEGUN))
    broker = broker(threads=threads, timeout=20)
    broker.define("busy", url)
    broker.start()
    broker.wait_state("busy", "active")

    answers = asyncio.run(kill_in_mid_call(str(broker.published("busy")), plugin))

    statuses = collections.Counter(status for status, _body in answers.values())
    print(statuses)
    assert len(answers) == CALLS and set(statuses) == {200, 502}
    assert statuses[200] >= ANSWERED and statuses[502] >= BEGUN - ANSWERED
    arrived = collections.Counter(plugin.recorded())
    assert [name for name, times in arrived.items() if times > 1] == []
    assert all(arrived[name] == 1 for name, (status, _body) in answers.items() if status == 200)
    for status, body in answers.values():
        if status == 502:
            problem = json.loads(body)["Err"]
            assert "busy" in problem and url in problem and "VolumeDriver.Count" in problem and "not repeated" in problem

    broker.wait_state("busy", "active")
    for number in range(100):
        assert broker.call("busy", "VolumeDriver.Count", f"after-{number}".encode()).status == 200
    assert collections.Counter(plugin.recorded())["after-99"] == 1
