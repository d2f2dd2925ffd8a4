"""Leases: an engine's claim on a plugin, held for as long as a connection stays open."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from harness import unix_http
from harness.running import enable_sample
from harness.waiting import wait_until

# Takes a lease, says so, and sleeps for ever.
_HOLDER = """\
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(f"POST /broker/v1/plugins/{sys.argv[2]}/lease HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\n\\r\\n".encode())
print(connection.recv(65536).split()[1].decode(), flush=True)
sys.stdin.read()
"""


class Lease:
    """A connection that holds a lease."""

    def __init__(self, broker, name):
        self.connection = unix_http.Connection(broker.control)
        self.connection.request("POST", f"/broker/v1/plugins/{name}/lease")
        self.socket = self.connection.sock
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.line = json.loads(self.response.readline()) if self.status == 200 else None

    def close(self):
        self.response.close()
        self.connection.close()


@pytest.fixture
def plugin(started, mobyfs):
    started.define("mobyfs", mobyfs().url)
    started.wait_state("mobyfs", "active")
    return started


def holders(broker, name="mobyfs"):
    return broker.plugin(name)["Leases"]


def wait_holders(broker, count):
    wait_until(lambda: len(holders(broker)) == count, lambda: f"{count} holders, there are {holders(broker)}", 10)


def test_a_lease_names_its_holder_and_ends_with_its_connection(plugin):
    lease = Lease(plugin, "mobyfs")
    assert lease.line == {"Plugin": "mobyfs", "Pid": os.getpid()}
    assert lease.response.headers["Content-Type"] == "application/x-ndjson"
    [holder] = holders(plugin)
    with open("/proc/self/comm", encoding="utf-8") as name:
        assert (holder["Pid"], holder["Command"]) == (os.getpid(), name.read().strip())
    shown = json.loads(plugin.pluginctl("inspect", "mobyfs").stdout)[0]["Leases"]
    assert shown == [holder]
    lease.close()
    wait_holders(plugin, 0)


def test_a_holder_that_is_killed_gives_it_back(plugin):
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, str(plugin.control), "mobyfs"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "200\n"
        assert [one["Pid"] for one in holders(plugin)] == [holder.pid]
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    wait_holders(plugin, 0)


def test_a_half_closed_connection_holds_nothing(plugin):
    lease = Lease(plugin, "mobyfs")
    lease.socket.shutdown(socket.SHUT_WR)
    wait_holders(plugin, 0)
    lease.close()


def test_two_hundred_leases_take_no_thread(plugin):
    threads = len(os.listdir(f"/proc/{plugin.process.pid}/task"))
    leases = [Lease(plugin, "mobyfs") for _ in range(200)]
    assert {lease.status for lease in leases} == {200}
    assert len(os.listdir(f"/proc/{plugin.process.pid}/task")) <= threads + 1
    assert len(holders(plugin)) == 200
    assert "mobyfs" in plugin.pluginctl("ls").stdout
    for lease in leases:
        lease.close()
    wait_holders(plugin, 0)


def test_leases_do_not_outlive_brokerd(plugin):
    lease = Lease(plugin, "mobyfs")
    plugin.kill()
    plugin.start()
    plugin.wait_state("mobyfs", "active")
    assert holders(plugin) == []
    assert Lease(plugin, "mobyfs").status == 200  # the client's part: to come again
    lease.close()


def test_nobody_leases_what_is_not_there(plugin):
    reply = plugin.post("/broker/v1/plugins/absent/lease")
    assert reply.status == 404
    assert "absent" in reply.error


def test_a_plugin_that_is_claimed_is_ended_by_force_only(started):
    plugin = enable_sample(started, "acme/sample")
    lease = Lease(started, "acme/sample")
    by_id = Lease(started, plugin["Id"])
    assert {lease.line["Plugin"], by_id.line["Plugin"]} == {"acme/sample:latest"}  # whatever it was called
    assert len(holders(started, "acme/sample")) == 2
    refused = started.pluginctl("disable", "acme/sample")
    assert refused.returncode == 1
    assert "plugin acme/sample:latest is in use by " in refused.stderr
    assert f"(pid {os.getpid()})" in refused.stderr
    assert "--force" in refused.stderr
    assert started.plugin("acme/sample")["State"] == "running"
    assert started.pluginctl("disable", "--force", "acme/sample").returncode == 0
    assert started.post("/broker/v1/plugins/acme/sample/lease").status == 409
    for one in (lease, by_id):
        one.close()


def test_the_last_lease_frees_the_plugin(started):
    enable_sample(started, "acme/sample")
    lease = Lease(started, "acme/sample")
    assert started.pluginctl("disable", "acme/sample").returncode == 1
    lease.close()
    wait_until(lambda: holders(started, "acme/sample") == [], "the lease to be given back", 10)
    assert started.pluginctl("disable", "acme/sample").returncode == 0
