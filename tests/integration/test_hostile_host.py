"""What lies around brokerd and is wrong or hostile: definitions that go in circles, files that are no files, directories of others,
descriptors that nobody asked for, and plugins that make work in the directory that they share with brokerd."""

import array
import os
import pathlib
import socket
import time

import pytest
from harness import unix_http
from harness.managed import succeed
from harness.running import create_sample, enable_sample
from harness.waiting import wait_until

GOOD = "unix:///nonexistent/plugin.sock"


def test_calls_that_go_in_a_circle_end(broker, mobyfs):
    """Two definitions that lead to each other's published sockets, which each of them looks fine by itself: the handshake is answered
    by the other's manifest. A call must not go round until there are no descriptors left."""
    plugin = mobyfs()
    broker = broker()
    broker.define("first", plugin.url)
    broker.start()
    broker.wait_state("first", "active")
    broker.define("second", f"unix://{broker.published('first')}")
    broker.wait_state("second", "active")
    assert broker.call("second", "VolumeDriver.List").status == 200  # one more station is no circle
    broker.define("first", f"unix://{broker.published('second')}")
    wait_until(lambda: broker.plugin("first")["Endpoint"].endswith("/second.sock"), "the circle")
    broker.wait_state("first", "active")
    before = broker.descriptors()
    for method in ("VolumeDriver.List", "VolumeDriver.Create"):
        reply = broker.call("second", method, {"Name": "x"})
        assert reply.status == 502 and "circle" in reply.error, reply
    wait_until(lambda: broker.descriptors() <= before + 32, lambda: f"{broker.descriptors()} descriptors to go, {before} before")
    assert broker.get("/_ping").status == 200


@pytest.mark.parametrize("kind", ["fifo", "zero", "giant", "directory", "socket"])
def test_a_certificate_file_that_is_no_file_holds_nobody(broker, mobyfs, certificates, directory, kind):
    """Of as many plugins as there are workers and more; another plugin, which needs a worker too, is served meanwhile."""
    place = directory / "certificate"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "zero":
        place.symlink_to("/dev/zero")
    elif kind == "giant":
        with open(place, "wb") as file:
            file.truncate(1 << 40)
    elif kind == "directory":
        place.mkdir()
    else:
        socket.socket(socket.AF_UNIX).bind(str(place))
    broker = broker()
    members = ("CAFile", "CertFile", "KeyFile")
    for number in range(24):
        tls = {"CAFile": certificates / "ca.pem", "CertFile": certificates / "client.pem", "KeyFile": certificates / "client.key"}
        tls[members[number % 3]] = place
        broker.define_json(f"odd{number}", "tcp://localhost:1", tls)
    broker.start()
    plugin = mobyfs()
    port = plugin.url.rpartition(":")[2]
    for number in range(24):
        failed = broker.wait_state(f"odd{number}", "failed")
        assert members[number % 3] in failed["Reason"] and str(place) in failed["Reason"], failed
    broker.define("good", f"tcp://localhost:{port}")
    broker.wait_state("good", "active")
    broker.stop()
