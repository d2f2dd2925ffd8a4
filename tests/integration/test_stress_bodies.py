"""Many calls at once with bodies of all sizes and framings, with delays and aborts on both sides: every byte arrives, once, and
at whom it is meant for. BROKERD_STRESS_SECONDS makes it last longer."""

import asyncio
import os
import random
import ssl
import time

import pytest
from harness.stress_peers import StressPlugin, stress
from harness.waiting import wait_until

SECONDS = float(os.environ.get("BROKERD_STRESS_SECONDS", "10"))
CLIENTS, CALLS = 16, 10
LEAST_CALLS = 100


def in_flight(broker):
    page = broker.get("/broker/v1/metrics").body.decode()
    return [int(line.split()[-1]) for line in page.splitlines() if line.startswith("brokerd_plugin_calls_in_flight{")]


@pytest.mark.slow
@pytest.mark.parametrize("transport,threads", [("unix", 1), ("tcp", 2), ("tls", 1)])
def test_every_byte_arrives_once_and_at_whom_it_is_meant_for(broker, directory, closing, certificates, transport, threads):
    tls = None
    if transport == "tls":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    plugin = closing.add(StressPlugin(path=directory / "stress.sock" if transport == "unix" else None, tls=tls))
    broker = broker(threads=threads)
    if transport == "tls":
        broker.define_json("stress", f"https://127.0.0.1:{plugin.port}", {"CAFile": certificates / "ca.pem"})
    else:
        broker.define("stress", f"unix://{plugin.path}" if plugin.path else f"tcp://127.0.0.1:{plugin.port}")
    broker.start()
    broker.wait_state("stress", "active")

    number, calls, deadline = random.randrange(1, 1 << 40), 0, time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        outcomes, problems = asyncio.run(stress(broker.published("stress"), CLIENTS, CALLS, number))
        assert not problems, f"from {number}: {problems[:5]}"
        assert not plugin.problems, f"from {number}: {plugin.problems[:5]}"
        number += CLIENTS * CALLS
        calls += sum(outcomes.values())
    assert calls >= LEAST_CALLS
    assert [number for number, times in plugin.seen.items() if times > 1] == []
    wait_until(lambda: not any(in_flight(broker)), lambda: f"end of the calls in flight: {in_flight(broker)}")
