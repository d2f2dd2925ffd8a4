"""Metrics and stats: the numbers are those of what was called, however it ended and whoever called it."""

import concurrent.futures
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading

import pytest
from harness import prometheus, unix_http
from harness.brokerd import PLUGINCTL
from harness.build import SANITIZERS
from harness.managed import succeed
from harness.raw_plugin import RawPlugin, answer
from harness.running import enable_sample
from harness.waiting import wait_until

OUTCOMES = ("ok", "plugin_error", "broker_error", "client_gone")


def metrics(broker):
    reply = broker.get("/broker/v1/metrics", timeout=30)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return prometheus.parse(reply.body.decode())


def stats(broker, plugin):
    """The plugin's stats; its methods by name."""
    reply = broker.get("/broker/v1/stats", timeout=30)
    assert reply.status == 200
    found = {item["Name"]: item for item in reply.json()["Plugins"]}.get(plugin)
    if found is not None:
        found["Methods"] = {method["Name"]: method for method in found["Methods"]}
    return found


def outcomes(broker, plugin, method):
    families = metrics(broker)
    return tuple(prometheus.value(families, "brokerd_plugin_calls_total", plugin=plugin, method=method, outcome=outcome)
                 for outcome in OUTCOMES)


@pytest.fixture
def raw(broker, directory, closing):
    """Makes a broker with an active RawPlugin called "raw" behind it."""
    def make(handle, **options):
        plugin = closing.add(RawPlugin(directory / "raw.sock", handle))
        made = broker(**options)
        made.define("raw", plugin.url)
        made.start()
        made.wait_state("raw", "active")
        return made
    return make


def test_numbers_are_those_of_what_was_called(busy):
    broker, plugin = busy
    sent = received = 0
    for number in range(5):
        body = json.dumps({"Name": f"volume{number}"}).encode()
        reply = broker.call("mobyfs", "VolumeDriver.Create", body)
        assert reply.status == 200
        sent, received = sent + len(body), received + len(reply.body)
    assert broker.call("mobyfs", "VolumeDriver.Get", {"Name": "nothing"}).status == 500
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200
    assert broker.call("mobyfs", "NetworkDriver.Join").status == 404  # the broker's own: the plugin is not concerned

    assert outcomes(broker, "mobyfs", "VolumeDriver.Create") == (5, 0, 0, 0)
    assert outcomes(broker, "mobyfs", "VolumeDriver.Get") == (0, 1, 0, 0)
    seen = stats(broker, "mobyfs")
    assert {name: method["Calls"] for name, method in seen["Methods"].items()} == {
        "VolumeDriver.Create": 5, "VolumeDriver.Get": 1, "VolumeDriver.List": 1}
    assert sum(1 for call in plugin.calls() if call["Method"] != "Plugin.Activate") == seen["Calls"] == 7
    assert (seen["PluginErrors"], seen["BrokerErrors"], seen["ClientGone"], seen["InFlight"]) == (1, 0, 0, 0)
    create = seen["Methods"]["VolumeDriver.Create"]
    assert (create["RequestBytes"], create["AnswerBytes"]) == (sent, received)
    assert 0 < create["P50"] <= create["P90"] <= create["P99"] <= create["Max"]

    families = metrics(broker)
    labels = {"plugin": "mobyfs", "method": "VolumeDriver.Create"}
    assert prometheus.value(families, "brokerd_plugin_request_bytes_total", **labels) == sent
    assert prometheus.value(families, "brokerd_plugin_answer_bytes_total", **labels) == received
    assert prometheus.value(families, "brokerd_plugin_call_duration_seconds", "_count", **labels) == 5
    total = prometheus.value(families, "brokerd_plugin_call_duration_seconds", "_sum", **labels)
    assert create["Max"] / 1e9 <= total <= 5 * create["Max"] / 1e9
    assert {name: prometheus.value(families, "brokerd_plugin_up", plugin=name) for name in ("mobyfs", "absent", "invalid")} == {
        "mobyfs": 1, "absent": 0, "invalid": 0}
    assert prometheus.value(families, "brokerd_plugins", state="failed") == 1
    assert {name: prometheus.value(families, "brokerd_plugin_state", plugin=name, kind="legacy", state=state) for name, state in (
        ("mobyfs", "active"), ("absent", "failed"), ("invalid", "invalid"))} == {"mobyfs": 1, "absent": 1, "invalid": 1}
    assert len(families["brokerd_plugin_state"]) == 3 and not families["brokerd_plugin_restarts_total"]
    assert prometheus.value(families, "brokerd_plugin_max_connections", plugin="mobyfs") == 4096
    assert not any(("plugin", "invalid") in key for key in families["brokerd_plugin_calls_total"])


def test_restarts_of_a_managed_plugin_are_counted(broker):
    broker = broker(threads=2, extra=["--live-restore=false", "--max-connections", "5"]).start()
    running = enable_sample(broker, "acme/sample")
    families, name = metrics(broker), "acme/sample:latest"
    assert prometheus.value(families, "brokerd_plugin_restarts_total", plugin=name) == 0
    assert prometheus.value(families, "brokerd_plugin_max_connections", plugin=name) == 5  # of both threads together
    os.kill(running["Pid"], signal.SIGKILL)
    wait_until(lambda: prometheus.value(metrics(broker), "brokerd_plugin_restarts_total", plugin=name) == 1, "a restart that is counted")
    broker.wait_state("acme/sample", "running")
    assert prometheus.value(metrics(broker), "brokerd_plugin_state", plugin=name, kind="managed", state="running") == 1
    succeed(broker.pluginctl("disable", "acme/sample"))
    assert not any(("plugin", name) in key for family in metrics(broker).values() for key in family)  # not wanted, so not down


def test_calls_in_flight_are_seen(raw):
    release = threading.Event()

    def hang(connection, _number):
        release.wait(60)
        connection.sendall(answer())
        return True

    broker = raw(hang)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        calls = [pool.submit(broker.call, "raw", "VolumeDriver.Mount", timeout=60) for _ in range(3)]
        try:
            wait_until(lambda: stats(broker, "raw")["InFlight"] == 3, "three calls in flight")
            families = metrics(broker)
            labels = {"plugin": "raw", "method": "VolumeDriver.Mount"}
            assert prometheus.value(families, "brokerd_plugin_calls_in_flight", **labels) == 3
            assert prometheus.value(families, "brokerd_plugin_connections", plugin="raw") == 3
            assert stats(broker, "raw")["Calls"] == 0
        finally:
            release.set()
        assert [call.result().status for call in calls] == [200] * 3
    after = stats(broker, "raw")
    assert (after["InFlight"], after["Calls"], after["PluginErrors"]) == (0, 3, 0)
    wait_until(lambda: stats(broker, "raw")["Connections"] == 0, "connections that are closed")


def test_every_end_has_its_outcome(raw):
    gone = threading.Event()

    def handle(connection, number):
        if number == 3:
            return False  # without an answer
        if number == 4:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            return False
        if number == 5:
            gone.wait(60)
            return False
        connection.sendall(answer(status={1: "204 No Content", 2: "418 Teapot"}[number], body=b"" if number == 1 else b"{}"))
        return True

    broker = raw(handle)
    assert [broker.call("raw", "VolumeDriver.Path").status for _ in range(3)] == [204, 418, 502]
    with pytest.raises(Exception):  # noqa: B017, PT011: http.client has several for an answer that breaks off
        broker.call("raw", "VolumeDriver.Path")
    wait_until(lambda: outcomes(broker, "raw", "VolumeDriver.Path") == (1, 1, 2, 0), "two broker errors")

    leaving = unix_http.Connection(broker.published("raw"))
    leaving.request("POST", "/VolumeDriver.Path", b"{}")
    wait_until(lambda: stats(broker, "raw")["InFlight"] == 1, "a call in flight")
    leaving.close()
    wait_until(lambda: outcomes(broker, "raw", "VolumeDriver.Path") == (1, 1, 2, 1), "a client that is gone")
    gone.set()
    assert stats(broker, "raw")["InFlight"] == 0


def test_calls_that_are_refused_count_as_errors_without_a_duration(busy):
    broker, _ = busy
    for _ in range(4):
        assert broker.call("absent", "VolumeDriver.List").status == 503
    assert broker.call("absent", "Plugin.Activate").status == 503  # a handshake is no call
    assert outcomes(broker, "absent", "VolumeDriver.List") == (0, 0, 4, 0)
    absent = stats(broker, "absent")
    assert (absent["Calls"], absent["BrokerErrors"], absent["Max"], list(absent["Methods"])) == (4, 4, 0, ["VolumeDriver.List"])


def test_two_threads_are_merged(broker, mobyfs):
    plugin = mobyfs()
    broker = broker(threads=2)
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")

    def engine(number):
        connection = unix_http.Connection(broker.published("mobyfs"), timeout=60)
        for _ in range(10):
            assert unix_http.send(connection, "POST", "/VolumeDriver.List", {}).status == 200
        return connection

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        connections = list(pool.map(engine, range(40)))
    seen = stats(broker, "mobyfs")
    assert (seen["Calls"], seen["Connections"], list(seen["Methods"])) == (400, 40, ["VolumeDriver.List"])
    assert len(plugin.calls("VolumeDriver.List")) == 400
    families = metrics(broker)
    assert prometheus.value(families, "brokerd_plugin_call_duration_seconds", "_count", plugin="mobyfs", method="VolumeDriver.List") == 400
    for connection in connections:
        connection.close()


def call_raw(broker, target):
    """A call with these bytes as its target, on a connection of its own; returns the status."""
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(10)
        engine.connect(str(broker.published("raw")))
        engine.sendall(b"POST " + target + b" HTTP/1.1\r\nHost: plugin\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        received = b""
        while piece := engine.recv(65536):
            received += piece
    return int(received.split()[1])


def test_invented_methods_are_bounded_and_quoted(raw):
    def handle(connection, _number):
        connection.sendall(answer())
        return True

    broker = raw(handle)
    nasty = [b'/VolumeDriver."}', b"/VolumeDriver.\\n", b"/VolumeDriver.\\", b"/VolumeDriver.{x=\"1\"}", b"/VolumeDriver.,le=",
             b"/VolumeDriver.#", b"/VolumeDriver.%0a%00", b"/VolumeDriver.<script>", b"/VolumeDriver.\xc3\xa9\xff", b"/VolumeDriver." + b"x" * 5000]
    passed = sum(call_raw(broker, target) == 200 for target in nasty)
    for number in range(300):
        assert call_raw(broker, b"/VolumeDriver.Invented%d" % number) == 200
    seen = stats(broker, "raw")
    assert len(seen["Methods"]) == 64
    assert seen["Calls"] == passed + 300
    assert seen["Methods"]["other"]["Calls"] >= 300 - 63
    families = metrics(broker)
    methods = {dict(key)["method"] for key in families["brokerd_plugin_calls_in_flight"]}
    assert len(methods) == 64 and all(len(method) < 500 and method.isprintable() for method in methods)
    shown = broker.pluginctl("stats", "--no-stream", "--methods")
    assert shown.returncode == 0 and len(shown.stdout.splitlines()) == 65 and "\x1b" not in shown.stdout


def test_counts_outlive_a_move_but_not_the_plugin(broker, mobyfs, directory):
    first, second = mobyfs(), mobyfs(name="moved")
    broker = broker()
    file = broker.define("mobyfs", first.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200
    broker.define("mobyfs", second.url)
    wait_until(lambda: broker.call("mobyfs", "VolumeDriver.List").status == 200 and second.calls("VolumeDriver.List"), "a call at the new place")
    assert stats(broker, "mobyfs")["Calls"] == len(first.calls("VolumeDriver.List")) + len(second.calls("VolumeDriver.List"))

    file.unlink()
    broker.wait_state("mobyfs", None)
    assert stats(broker, "mobyfs") is None
    assert not any(("plugin", "mobyfs") in key for family in metrics(broker).values() for key in family)
    broker.define("mobyfs", first.url)
    broker.wait_state("mobyfs", "active")
    assert stats(broker, "mobyfs")["Calls"] == 0


def test_the_process_tells_of_itself(busy):
    broker, _ = busy
    families = metrics(broker)
    assert abs(prometheus.value(families, "process_open_fds") - broker.descriptors()) <= 3
    if not SANITIZERS:  # broker.memory() says nothing there
        assert 0.5 < prometheus.value(families, "process_resident_memory_bytes") / 1024 / broker.memory() < 2
    assert 0 < prometheus.value(families, "process_cpu_seconds_total") <= broker.cpu_seconds() + 1
    started = os.stat(f"/proc/{broker.process.pid}").st_ctime
    assert abs(prometheus.value(families, "process_start_time_seconds") - started) < 60
    version = re.search(r"[\d.]+", broker.pluginctl("--version").stdout)[0]
    assert prometheus.value(families, "brokerd_build_info", version=version) == 1


def test_a_refused_configuration_is_seen(busy):
    broker, _ = busy
    file = broker.directory / "brokerd.conf"

    def reading():
        families = metrics(broker)
        return (prometheus.value(families, "brokerd_config_last_reload_successful"),
                prometheus.value(families, "brokerd_config_last_reload_success_timestamp_seconds"))

    accepted, started = reading()
    assert accepted == 1 and abs(started - prometheus.value(metrics(broker), "process_start_time_seconds")) < 60
    file.write_text("nonsense = 1\n")
    broker.reload()
    wait_until(lambda: reading() == (0, started), "the refusal")
    file.write_text("")
    broker.reload()
    wait_until(lambda: reading()[0] == 1 and reading()[1] > started, "a configuration that is accepted again")


def test_a_state_root_that_cannot_be_used_is_seen(broker):
    broker = broker()
    broker.state.write_text("")
    broker.start()
    assert prometheus.value(metrics(broker), "brokerd_managed_plugins_available") == 0
    broker.stop()
    broker.state.unlink()
    broker.start()
    assert prometheus.value(metrics(broker), "brokerd_managed_plugins_available") == 1


def test_readers_in_a_crowd_all_get_the_numbers(busy):
    broker, _ = busy
    broker.call("mobyfs", "VolumeDriver.List")
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        seen = list(pool.map(lambda _: stats(broker, "mobyfs")["Calls"], range(200)))
    assert seen == [1] * 200


def test_pluginctl_stats(busy):
    broker, _ = busy
    for _ in range(3):
        broker.call("mobyfs", "VolumeDriver.List")
    broker.call("mobyfs", "VolumeDriver.Get", {"Name": "nothing"})
    shown = broker.pluginctl("stats", "--no-stream")
    assert shown.returncode == 0 and shown.stderr == ""
    head, *rows = shown.stdout.splitlines()
    assert head.split()[:4] == ["PLUGIN", "CALLS", "CALLS/S", "ERRORS"]
    assert [row.split()[:5] for row in rows] == [["mobyfs", "4", "-", "1", "0"]]
    assert len(broker.pluginctl("stats", "--no-stream", "--all").stdout.splitlines()) == 4
    lines = broker.pluginctl("stats", "--no-stream", "--methods", "--format", "json").stdout.splitlines()
    assert {item["Method"]: (item["Calls"], item["Errors"]) for item in map(json.loads, lines)} == {
        "VolumeDriver.List": (3, 0), "VolumeDriver.Get": (1, 1)}
    missing = broker.pluginctl("stats", "nobody", "--no-stream")
    assert missing.returncode == 1 and "nobody" in missing.stderr


def stats_command(broker, *arguments):
    return [PLUGINCTL, "-H", f"unix://{broker.control}", "stats", "--interval", "0.1", *arguments]


def test_pluginctl_stats_goes_on_until_its_reader_leaves(busy):
    broker, _ = busy
    with subprocess.Popen(stats_command(broker, "--format", "json"), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as command:
        first = json.loads(command.stdout.readline())
        broker.call("mobyfs", "VolumeDriver.List")
        assert first["Calls"] == 0 and first["CallsPerSecond"] is None
        for line in command.stdout:
            later = json.loads(line)
            if later["Calls"] == 1:
                break
        command.stdout.close()
        assert command.wait(20) == 0
    assert later["CallsPerSecond"] > 0


def test_pluginctl_stats_on_a_terminal(busy):
    broker, _ = busy
    ours, its = pty.openpty()
    try:
        with subprocess.Popen(stats_command(broker), stdout=its, stdin=subprocess.DEVNULL) as command:
            try:
                seen = b""
                while seen.count(b"\x1b[J") < 2:
                    seen += os.read(ours, 65536)
            finally:
                command.terminate()
        assert seen.startswith(b"\x1b[2J\x1b[HPLUGIN ") and b"\x1b[HPLUGIN " in seen[10:]
    finally:
        os.close(ours)
        os.close(its)
