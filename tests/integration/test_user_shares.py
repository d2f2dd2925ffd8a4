"""No member of the group keeps root, or another member, from the control socket: watchers, leases, long calls, connections."""

import json
import os
import subprocess
import sys

import pytest
from harness import unix_http
from harness.isolation import die_with_parent
from harness.neighbour import Neighbour
from harness.managed import succeed
from harness.plugin_images import make_plugin
from harness.waiting import wait_until

GROUP = "daemon"  # one that every Debian has; here its members may use the socket
USERS = (2001, 2002)
STREAMS, JOBS = 1024, 128

# Connects COUNT times, sends each time what stdin says, tells the statuses that came back and how many of the connections wait
# for more, and stays until it is ended.
_MEMBER = """\
import json, resource, select, socket, sys
path, count = sys.argv[1], int(sys.argv[2])
request = sys.stdin.buffer.read()
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
clients, statuses = [], {}
for _ in range(count):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.sendall(request)
    clients.append(client)
for client in clients:
    status = client.recv(65536).split(b" ")[1:2]
    statuses[status[0].decode() if status else "ended"] = statuses.get(status[0].decode() if status else "ended", 0) + 1
held = sum(not select.select([client], [], [], 0)[0] for client in clients)
print(json.dumps([statuses, held]), flush=True)
select.select([], [], [])
"""


@pytest.fixture
def shared(broker, mobyfs, many_descriptors):
    plugin = mobyfs()
    made = broker(extra=["--group", GROUP], prefix=["prlimit", "--nofile=16384"])
    made.define("mobyfs", plugin.url)
    made.directory.chmod(0o755)
    made.start()
    made.wait_state("mobyfs", "active")
    return made


@pytest.fixture
def member(shared, closing):
    """Starts a member of the group with so many requests, and returns how they were answered."""
    class Member:
        def __init__(self, user, count, request):
            self.child = subprocess.Popen([sys.executable, "-c", _MEMBER, str(shared.control), str(count)], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, user=user, group=GROUP, extra_groups=[], preexec_fn=die_with_parent)
            self.child.stdin.write(request)
            self.child.stdin.close()
            statuses, self.held = json.loads(self.child.stdout.readline())
            self.statuses = {int(status) if status.isdigit() else status: number for status, number in statuses.items()}

        def close(self):
            self.child.kill()
            self.child.wait(20)
            self.child.stdout.close()
    return lambda *arguments: closing.add(Member(*arguments))


def get(target):
    return f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def test_watchers_of_members_leave_room_for_others(shared, member):
    first = member(USERS[0], 700, get("/broker/v1/events"))
    assert first.statuses == {200: STREAMS // 2, 503: 700 - STREAMS // 2}
    refused = unix_http.request(shared.control, "GET", "/broker/v1/healthz")
    assert refused.status == 200
    second = member(USERS[1], 300, get("/broker/v1/events"))
    assert second.statuses == {200: STREAMS // 4, 503: 300 - STREAMS // 4}
    # Leases are the same kind of connection, and root has what it needs of them.
    lease = unix_http.Connection(shared.control)
    lease.request("POST", "/broker/v1/plugins/mobyfs/lease")
    assert lease.getresponse().status == 200
    watchers = [shared.events() for _ in range(100)]
    for thing in (lease, first, second, *watchers):
        thing.close()
    wait_until(lambda: not shared.plugin("mobyfs")["Leases"], "nobody")
    assert member(USERS[1], 300, get("/broker/v1/events")).statuses == {200: 300}


def test_what_is_refused_says_whose_share_it_is(shared, member):
    holder = member(USERS[0], STREAMS // 2, get("/broker/v1/events"))
    assert holder.statuses == {200: STREAMS // 2}
    said = subprocess.run([sys.executable, "-c", "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
                           "s.sendall(b'GET /broker/v1/events HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(65536).decode())",
                           str(shared.control)], user=USERS[0], group=GROUP, extra_groups=[], capture_output=True, text=True, check=True)
    assert " 503 " in said.stdout and f"user {USERS[0]} has {STREAMS // 2} connections" in said.stdout and f"its share of {STREAMS}" in said.stdout


def test_long_calls_of_members_leave_room_for_others(shared, member, directory):
    """Half a `create` each: the body never comes."""
    request = b"POST /plugins/create?name=acme/half HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n"
    holder = member(USERS[0], JOBS, request)
    # On a slow machine its first ones are late, and make room for its last ones, while those are still being sent.
    assert set(holder.statuses) <= {100, 503} and holder.held <= JOBS // 2, (holder.statuses, holder.held)
    plugin = make_plugin(directory / "p")
    for number in range(4):
        succeed(shared.pluginctl("create", f"acme/own{number}", plugin))


def test_connections_of_a_member_cost_no_others_theirs(shared, member, directory):
    """A thousand and a half come; the resting connections of root stay."""
    succeed(shared.pluginctl("create", "acme/quiet", make_plugin(directory / "p")))
    kept = [unix_http.Connection(shared.control, timeout=60) for _ in range(20)]
    for connection in kept:
        assert unix_http.send(connection, "GET", "/_ping").status == 200
    sockets = [connection.sock for connection in kept]
    neighbour = Neighbour(shared, "acme/quiet:latest")
    neighbour.goes_on()
    crowds = [member(USERS[0], 500, get("/_ping")) for _ in range(3)]
    assert all(set(crowd.statuses) <= {200, "ended"} for crowd in crowds)
    neighbour.goes_on()
    for connection in kept:
        assert unix_http.send(connection, "GET", "/_ping").status == 200
    assert [connection.sock for connection in kept] == sockets, "the same connections as before"
    neighbour.stop()
    for connection in kept:
        connection.close()
    assert os.getuid() == 0
