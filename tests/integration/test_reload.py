"""SIGHUP: brokerd.conf is read again while calls go on; what cannot change without a restart is named."""

import json
import select

import pytest
from harness import unix_http
from harness.load import Load
from harness.waiting import wait_until


class Configured:
    """A broker whose settings are in its file: the flags that the tests usually give, but for those in `dropped`."""

    def __init__(self, broker, dropped=()):
        self.broker = broker
        self.file = broker.directory / "brokerd.conf"
        given = [str(part) for part in broker.command()]
        kept, skip = [], False
        for part in given:
            if not skip and part not in dropped:
                kept.append(part)
            skip = not skip and part in dropped
        broker.command = lambda: kept
        self.file.write_text("")

    def write(self, **settings):
        lines = []
        for name, values in settings.items():
            for value in values if isinstance(values, list) else [values]:
                lines.append(f'{name.replace("_", "-")} = "{value}"\n')
        self.file.write_text("".join(lines))

    def reload(self, **settings):
        """Returns the STATUS that systemd is told once it is done."""
        self.write(**settings)
        return self.reload_file()

    def reload_file(self):
        notify = self.broker.notify
        before = len(notify.messages)
        self.broker.reload()
        done = lambda: [line for line in notify.messages[before:] if line.startswith("STATUS=")]  # noqa: E731
        status = wait_until(done, lambda: f"the end of the reload in {notify.messages}")
        lines = notify.messages[before:]
        assert lines[0] == "RELOADING=1" and lines[1].startswith("MONOTONIC_USEC=")
        assert lines.index("READY=1") > 0
        return status[0].removeprefix("STATUS=")

    def logged(self, text):
        return text in self.broker.process.output()


@pytest.fixture
def configured(broker):
    def make(dropped=(), **options):
        return Configured(broker(**options), dropped)
    return make


def test_no_call_fails_while_every_setting_changes(configured, mobyfs, closing):
    plugin = mobyfs()
    configured = configured(("--activation-timeout", "--activation", "--log-level", "--spec-dir"), threads=2)
    broker = configured.broker
    specs = [str(path) for path in broker.specs]
    broker.define("mobyfs", plugin.url)
    configured.write(spec_dir=specs)
    broker.start()
    broker.wait_state("mobyfs", "active")
    load = closing.add(Load(broker.published("mobyfs")))
    for turn in range(12):
        load.wait_for_calls(10)
        odd = turn % 2
        configured.reload(
            spec_dir=specs[:1] if odd else specs, log_level="warning" if odd else "debug", max_connections=2 if odd else 100,
            request_timeout=5 + odd, unread_timeout=60 + odd, answer_timeout=["60", f"mobyfs={30 + odd}"], activation_timeout=3 + odd,
            activation="lazy" if odd else "eager",
            insecure_registry=f"10.0.0.{turn}", registry_mirror=f"http://mirror{turn}.test", registry_certs=f"/certs{turn}",
            oci_runtime=f"/opt/runtime{turn}", live_restore="false" if odd else "true", health_interval=turn, restart_unhealthy="true" if odd else "false",
            allow_unsafe_files="true" if odd else "false")
    load.wait_for_calls(20)
    load.close()
    assert load.failures == []
    assert len(plugin.calls("Plugin.Activate")) == 1
    info = broker.get("/info").json()
    assert info["LiveRestoreEnabled"] is False
    assert info["RegistryConfig"]["Mirrors"] == ["http://mirror11.test"]
    assert "10.0.0.11" in json.dumps(info["RegistryConfig"])
    assert "/opt/runtime11" in json.dumps(info)


def test_a_mistake_is_refused_as_a_whole_and_named_with_its_line(configured, mobyfs):
    configured = configured()
    broker = configured.broker
    broker.define("mobyfs", mobyfs().url)
    configured.write(registry_mirror="http://old.test")
    broker.start()
    for text, line, reason in (("live-restore = false\n\nmax-connections = none\n", 3, "max-connections"),
                               ("live-restore = false\nregistry-miror = http://new.test\n", 2, '"registry-miror" is not a setting'),
                               ("live-restore = false\nanswer-timeout = 30\n# x\nanswer-timeout = mobyfs=soon\n", 4, "mobyfs=soon"),
                               ("live-restore = false\n[registry]\n", 2, "sections"),
                               ("live-restore = false\nspec-dir = [\n\"/a\"\n", 2, "no end")):
        configured.file.write_text(text)
        status = configured.reload_file()
        assert status.startswith(f"configuration refused: {configured.file}:{line}: "), status
        assert reason in status
        assert configured.logged(f"the configuration is refused, all settings stay as they are: {configured.file}:{line}: ")
        info = broker.get("/info").json()
        assert info["LiveRestoreEnabled"] is True
        assert info["RegistryConfig"]["Mirrors"] == ["http://old.test"]
    assert configured.reload(live_restore="false") == "reloaded"
    assert broker.get("/info").json()["LiveRestoreEnabled"] is False


def test_what_needs_a_restart_is_named_each_time_and_the_rest_holds(configured):
    configured = configured(("--proxy-threads",))
    broker = configured.broker.start()
    for _ in range(2):
        status = configured.reload(group="nogroup", proxy_threads=3, live_restore="false")
        assert status == "reloaded; group, proxy-threads: needs a restart"
    assert configured.logged("group, proxy-threads: needs a restart (systemctl restart brokerd), until then the old value holds")
    assert broker.get("/info").json()["LiveRestoreEnabled"] is False
    configured.write(live_restore="false")
    assert configured.reload_file() == "reloaded"


def test_what_the_command_line_gives_stays(configured):
    configured = configured()
    configured.broker.start()
    assert configured.reload(log_level="error", proxy_threads=3) == "reloaded"
    assert configured.logged("reloaded; no setting has changed")


def test_an_answer_timeout_holds_for_the_next_call(configured, mobyfs):
    configured = configured()
    broker = configured.broker
    plugin = mobyfs()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    plugin.stop()
    plugin.start(delay=1)
    broker.wait_state("mobyfs", "active")
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200
    configured.reload(answer_timeout="mobyfs/VolumeDriver.List=0.2")
    refused = broker.call("mobyfs", "VolumeDriver.List")
    assert refused.status != 200 and "0.2" in json.dumps(refused.json())
    configured.reload()
    assert broker.call("mobyfs", "VolumeDriver.List").status == 200


def test_more_connections_are_taken_at_once_and_fewer_from_then_on(configured, mobyfs, closing):
    configured = configured()
    broker = configured.broker
    broker.define("mobyfs", mobyfs().url)
    configured.write(max_connections=1)
    broker.start()
    broker.wait_state("mobyfs", "active")

    def connect():
        connection = closing.add(unix_http.Connection(broker.published("mobyfs"), timeout=20))
        connection.request("POST", "/VolumeDriver.Capabilities", b"{}")
        return connection

    def answered(connection):
        response = connection.getresponse()
        response.read()
        return response.status == 200

    first = connect()
    assert answered(first)
    second, third = connect(), connect()
    wait_until(lambda: configured.logged("as many as max-connections allows"), "word of the limit")
    configured.reload(max_connections=3)
    assert answered(second) and answered(third)
    configured.reload(max_connections=1)
    for connection in (first, second, third):  # nobody is thrown out
        connection.request("POST", "/VolumeDriver.Capabilities", b"{}")
        assert answered(connection)
    fourth = connect()
    first.close()
    second.request("POST", "/VolumeDriver.Capabilities", b"{}")
    assert answered(second)  # two are left, one more than may be
    assert not select.select([fourth.sock], [], [], 0.1)[0]
    second.close()
    third.close()
    assert answered(fourth)


def test_directories_change_without_disturbing_what_stays(configured, mobyfs):
    plugin = mobyfs()
    configured = configured(("--spec-dir",))
    broker = configured.broker
    third = broker.directory / "specs3"
    third.mkdir()
    broker.define("stays", plugin.url, directory=1)
    broker.define("goes", plugin.url, directory=0)
    (third / "comes.spec").write_text(plugin.url)
    configured.write(spec_dir=[str(path) for path in broker.specs])
    broker.start()
    for name in ("stays", "goes"):
        broker.wait_state(name, "active")
    events = broker.events()
    configured.reload(spec_dir=[str(broker.specs[1]), str(third)])
    broker.wait_state("comes", "active")
    events.wait_for("comes", "active")
    assert set(broker.plugins()) == {"stays", "comes"}
    assert "stays" not in {event["Plugin"] for event in events.seen}
    broker.define("later", plugin.url, directory=1)  # the new order is watched
    broker.wait_state("later", "active")


def test_the_level_of_the_log_and_eager_activation(configured):
    configured = configured(("--log-level", "--activation"))
    broker = configured.broker
    configured.write(log_level="warning", activation="lazy")
    broker.define("absent", "unix:///nonexistent/absent.sock")
    broker.start()
    assert broker.plugin("absent")["State"] == "discovered"
    assert not configured.logged("is ready")
    configured.reload(log_level="debug", activation="eager")
    assert configured.logged("reloaded; now in force: activation, log-level")
    wait_until(lambda: configured.logged("plugin absent is being activated"), "the debug line of its activation")


def test_an_oci_runtime_that_is_not_there_shows_at_once(configured):
    configured = configured()
    broker = configured.broker.start()
    problems = lambda: {finding["Problem"] for finding in broker.findings()}  # noqa: E731
    assert "oci-runtime" not in problems()
    configured.reload(oci_runtime="/nonexistent/runtime")
    assert "oci-runtime" in problems()
    configured.reload()
    assert "oci-runtime" not in problems()
