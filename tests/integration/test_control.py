"""The control socket: what it answers, and to whom."""

import concurrent.futures
import grp
import json
import os
import socket
import subprocess
import sys

import pytest
from harness import unix_http
from harness.plugins import free_port
from harness.waiting import wait_until

CLIENT = """\
import os, socket, sys
groups = [int(group) for group in sys.argv[3].split(",") if group]
os.setgroups(groups)
os.setgid(int(sys.argv[2]))
os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
client.connect(sys.argv[1])
client.sendall(b"GET /broker/v1/plugins HTTP/1.1\\r\\nHost: broker\\r\\nConnection: close\\r\\n\\r\\n")
while part := client.recv(65536):
    sys.stdout.write(part.decode())
"""


def ask_as_nobody(broker, group=65534, groups=()):
    """The whole answer that a client gets which is the user nobody in these groups."""
    result = subprocess.run([sys.executable, "-c", CLIENT, str(broker.control), str(group), ",".join(map(str, groups))],
                            capture_output=True, text=True, timeout=30)
    return result.stdout, result.stderr


@pytest.fixture
def brokerd_group():
    """The group brokerd, in the tests' private /etc."""
    try:
        return grp.getgrnam("brokerd").gr_gid
    except KeyError:
        with open("/etc/group", "a", encoding="utf-8") as groups:
            groups.write("brokerd:x:61234:\n")
        return 61234


@pytest.fixture
def secretive(broker, brokerd_group):
    broker = broker(activation="lazy")
    broker.define("secret", "tcp://127.0.0.1:9")
    return broker.start()


def test_the_socket_is_for_root_and_the_group(secretive, brokerd_group):
    status = os.stat(secretive.control)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, brokerd_group, 0o660)
    _answer, errors = ask_as_nobody(secretive)
    assert "PermissionError" in errors


def test_the_peers_credentials_decide_even_where_the_mode_is_open(secretive):
    os.chmod(secretive.control, 0o666)
    answer, _errors = ask_as_nobody(secretive)
    assert answer.startswith("HTTP/1.1 403"), answer
    assert "secret" not in answer
    assert "brokerd" in json.loads(answer.partition("\n\n")[2])["message"]
    assert "secret" in secretive.plugins()


def test_members_of_the_group_are_let_in(secretive, brokerd_group):
    answer, errors = ask_as_nobody(secretive, group=brokerd_group)
    assert answer.startswith("HTTP/1.1 200") and "secret" in answer, (answer, errors)
    answer, errors = ask_as_nobody(secretive, groups=[100, brokerd_group])
    assert answer.startswith("HTTP/1.1 200") and "secret" in answer, (answer, errors)


def test_published_sockets_are_for_root_alone(secretive):
    status = os.stat(secretive.published("secret"))
    assert status.st_uid == 0
    assert status.st_mode & 0o007 == 0


def test_lookup(busy):
    broker, plugin = busy
    view = broker.lookup("mobyfs").json()
    assert view["Implements"] == ["VolumeDriver", "authz"]
    assert view["Endpoint"] == plugin.url
    assert set(view["Published"]) == {str(broker.published("mobyfs")), str(broker.engine_socket("mobyfs"))}
    assert broker.lookup("mobyfs", "authz").status == 200
    reply = broker.lookup("mobyfs", "NetworkDriver")
    assert reply.status == 409 and "mobyfs" in reply.error and "NetworkDriver" in reply.error
    reply = broker.lookup("nobody")
    assert reply.status == 404 and "nobody" in reply.error
    reply = broker.lookup("absent", timeout=0)
    assert reply.status == 503 and "refused" in reply.error.lower()
    reply = broker.lookup("invalid", timeout=0)
    assert reply.status == 503 and "invalid.spec" in reply.error


def test_find_with_capability(broker, mobyfs):
    broker = broker(timeout=1)
    broker.define("volumes", mobyfs(name="volumes").url)
    broker.define("networks", mobyfs(name="networks", implements="NetworkDriver").url)
    broker.define("both", mobyfs(name="both", implements="NetworkDriver,VolumeDriver").url)
    broker.define("absent", f"tcp://127.0.0.1:{free_port()}")
    broker.start()
    for name in ("volumes", "networks", "both"):
        broker.wait_state(name, "active")
    broker.wait_state("absent", "failed")

    def names(query):
        return {plugin["Name"] for plugin in broker.get(f"/broker/v1/plugins?{query}").json()["Plugins"]}

    assert names("capability=VolumeDriver") == {"volumes", "both"}
    assert names("capability=NetworkDriver") == {"networks", "both"}
    assert names("capability=authz") == set()
    assert names("state=failed") == {"absent"}
    assert names("kind=legacy") == {"volumes", "networks", "both", "absent"}
    assert names("kind=managed") == set()


def test_names_with_slashes(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("vieux/mobyfs", plugin.url)
    broker.start()
    broker.wait_state("vieux/mobyfs", "active")
    assert broker.lookup("vieux/mobyfs", "VolumeDriver").status == 200
    assert broker.get("/broker/v1/plugins/vieux%2Fmobyfs/json").status in (200, 404)
    assert broker.call("vieux/mobyfs", "VolumeDriver.List").status == 200
    assert broker.post("/broker/v1/plugins/vieux/mobyfs/rpc/VolumeDriver.List", {}).status == 200
    assert broker.pluginctl("inspect", "vieux/mobyfs").returncode == 0


def test_rpc_is_one_proxied_call(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    assert broker.post("/broker/v1/plugins/mobyfs/rpc/VolumeDriver.Create", {"Name": "vol"}).json() == {"Err": ""}
    assert (plugin.root / "vol").is_dir()
    reply = broker.post("/broker/v1/plugins/mobyfs/rpc/VolumeDriver.Get", {"Name": "nothing"})
    assert reply.status == 500 and "no such volume" in reply.json()["Err"]
    assert broker.post("/broker/v1/plugins/mobyfs/rpc/NetworkDriver.Join", {}).status == 404
    assert broker.post("/broker/v1/plugins/nobody/rpc/VolumeDriver.List", {}).status == 404
    assert len(plugin.calls("VolumeDriver.Create")) == 1


def test_events_by_capability_with_replay(broker, mobyfs):
    broker = broker()
    broker.define("volumes", mobyfs(name="volumes").url)
    broker.define("networks", mobyfs(name="networks", implements="NetworkDriver").url)
    broker.start()
    broker.wait_state("volumes", "active")
    broker.wait_state("networks", "active")
    handler = broker.events("capability=VolumeDriver&replay=active")
    assert handler.wait_for("volumes", "active")["Implements"] == ["VolumeDriver"]
    broker.define("networks2", mobyfs(name="networks2", implements="NetworkDriver").url)
    broker.wait_state("networks2", "active")
    broker.define("volumes2", mobyfs(name="volumes2").url)
    handler.wait_for("volumes2", "active")
    assert {event["Plugin"] for event in handler.seen} == {"volumes", "volumes2"}
    history = broker.events("replay=1000")
    history.wait_for("volumes2", "active")
    assert [event["Action"] for event in history.seen if event["Plugin"] == "volumes"][:3] == ["discovered", "activating", "active"]


def test_ping_version_and_health(broker):
    broker = broker().start()
    assert broker.get("/_ping").body == b"OK"
    assert broker.get("/broker/v1/healthz").status == 200
    version = broker.get("/version").json()
    assert version["Version"]
    assert broker.get("/broker/v1/nothing").status == 404
    assert broker.get("/broker/v1/nothing").json()["message"]


def test_many_questions_at_once(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    for number in range(50):
        broker.define(f"plugin{number}", plugin.url)
    broker.start()
    for number in range(50):
        broker.wait_state(f"plugin{number}", "active")
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        futures = [pool.submit(broker.get, "/broker/v1/plugins", 30) for _ in range(200)]
        futures += [pool.submit(broker.lookup, f"plugin{number % 50}") for number in range(200)]
        assert {future.result().status for future in futures} == {200}


def test_nonsense_on_the_control_socket_is_survived(broker):
    broker = broker().start()
    for text in (b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100000, b"POST /broker/v1/plugins/x/activate HTTP/1.1\r\n"
                 b"Host: x\r\nContent-Length: 99999999999999999999\r\n\r\n", b"GET /broker/v1/plugins/%00%ff/json HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET /broker/v1/plugins/../../etc/json HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /broker/v1/plugins/" + b"a" * 7000 + b"/json HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(broker.control))
            try:
                client.sendall(text)
                client.shutdown(socket.SHUT_WR)
                client.recv(65536)
            except (ConnectionError, BrokenPipeError):
                pass
    assert broker.get("/broker/v1/healthz").status == 200
    assert broker.lookup("x" * 300).status in (400, 404)
    assert broker.get("/broker/v1/plugins/mobyfs?timeout=banana").status in (400, 404)
    assert broker.get("/broker/v1/plugins/a/b/../c/json").status in (400, 404)


def test_a_control_socket_that_a_dead_brokerd_left_behind_is_replaced(broker):
    broker = broker().start()
    broker.kill()
    assert broker.control.exists()
    broker.start()
    assert broker.get("/_ping").status == 200


def test_clients_that_go_away_leave_nothing_behind(broker, mobyfs):
    plugin = mobyfs(broken="never-answer", broken_method="VolumeDriver.List")
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    before = broker.descriptors()
    clients = []
    for target, text in ((broker.control, b"GET /broker/v1/plugins HTTP/1.1\r\nHost: x\r\n\r\n"),
                         (broker.published("mobyfs"), b"POST /VolumeDriver.List HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")):
        for _ in range(20):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(target))
            client.sendall(text)
            clients.append(client)
    wait_until(lambda: len(plugin.calls("VolumeDriver.List")) == 20, "calls at the plugin")
    for client in clients:
        client.close()
    wait_until(lambda: broker.descriptors() <= before + 8, lambda: f"return to {before} descriptors from {broker.descriptors()}")
    assert unix_http.listening(broker.published("mobyfs"))
