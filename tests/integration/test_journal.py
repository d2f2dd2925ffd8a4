"""What brokerd writes to the journal: a line for each event, with fields; and no flood of it."""

import os
import shutil
import signal
import subprocess

import pytest
from harness.build import REPOSITORY
from harness.journal import Journal
from harness.managed import succeed
from harness.running import enable_sample
from harness.waiting import wait_until

CATALOGUE = REPOSITORY / "systemd" / "brokerd.catalog"


@pytest.fixture
def journal(closing):
    return closing.add(Journal())


@pytest.fixture
def logging(broker, journal):
    """Makes a broker whose stderr is the journal's, as below systemd."""
    def make(**options):
        made = broker(**options)
        made.environment = Journal.environment(made)
        return made
    return make


def test_a_plugins_way_is_a_line_for_each_event_with_its_fields(logging, journal, mobyfs):
    journal.read()
    plugin = mobyfs()
    broker = logging(timeout=1)
    broker.define("mobyfs", plugin.url)
    broker.start()
    ready = journal.wait_for("is ready")
    assert ready["MESSAGE_ID"] == "f49b623eef794052b5bc6c7c561d5869"
    assert (ready["SYSLOG_IDENTIFIER"], ready["PRIORITY"]) == ("brokerd", "6")
    active = journal.wait_for(EVENT="active")
    assert active["MESSAGE"] == f"plugin mobyfs is active: it answers at {plugin.url}"
    assert active["PLUGIN_NAME"] == "mobyfs" and "PLUGIN_ID" not in active and "REASON" not in active
    plugin.kill()
    broker.call("mobyfs", "VolumeDriver.List")
    failed = journal.wait_for(EVENT="failed")
    assert failed["PRIORITY"] == "4" and failed["REASON"] in failed["MESSAGE"]
    plugin.start()
    journal.wait_for("; before that it failed for ", EVENT="active")
    (broker.specs[0] / "mobyfs.spec").unlink()
    journal.wait_for(EVENT="gone")
    kinds = [message.split(":")[0].split(";")[0] for message in journal.of("mobyfs")]
    assert kinds == [f"plugin mobyfs {what}" for what in ("is active", "is down", "has failed", "is active", "is gone")]
    broker.stop()
    journal.wait_for("brokerd stops")
    assert broker.process.output() == "", "nothing is written twice"


def test_the_events_words_are_those_of_the_api(logging, journal, mobyfs):
    journal.read()
    broker = logging()
    broker.start()
    events = broker.events()
    broker.define("mobyfs", mobyfs().url)
    events.wait_for("mobyfs", "active")
    journal.wait_for(EVENT="active")
    told = [entry["EVENT"] for entry in journal.entries if entry.get("PLUGIN_NAME") == "mobyfs"]
    assert told == [event["Action"] for event in events.seen]


def test_a_managed_plugin_that_keeps_dying_is_told_of_once(logging, journal):
    journal.read()
    name = "acme/mortal:latest"
    broker = logging()
    broker.start()
    try:
        enable_sample(broker, name)
        for _ in range(4):
            plugin = broker.wait_state(name, "running", 30)
            os.kill(plugin["Pid"], signal.SIGKILL)
            wait_until(lambda before=plugin["Restarts"]: broker.plugin(name)["Restarts"] > before, "another restart", 30)
        broker.wait_state(name, "running", 30)
        succeed(broker.pluginctl("disable", name))
    finally:
        broker.pluginctl("rm", "-f", name)
    journal.wait_for(EVENT="removed")
    told = [message.split(":latest ")[1].split(":")[0].split(";")[0] for message in journal.of(name)]
    told.remove("is enabled")  # which is stored while it begins to run
    assert told == ["is installed", "is running", "is restarting", "is running", "is disabled", "is stopped", "is removed"], journal.of(name)
    assert len([entry for entry in journal.entries if entry.get("EVENT") == "restarting"]) == 4, "the others are for debugging"
    assert {entry["PLUGIN_ID"] for entry in journal.entries if entry.get("PLUGIN_NAME") == name} == {plugin["Id"]}
    died = journal.wait_for(EVENT="restarting")
    assert died["MESSAGE_ID"] == "e114ac4ee2bb40f396d58edeced57129" and "SIGKILL" in died["REASON"]


def test_a_plugin_whose_socket_goes_with_each_crash_is_told_of_once(logging, journal, mobyfs):
    journal.read()
    broker = logging()
    broker.start()
    plugin = mobyfs(f"unix://{broker.engine_sockets}/flap.sock")
    for _ in range(4):
        broker.wait_state("flap", "active")
        plugin.kill()
        (broker.engine_sockets / "flap.sock").unlink()
        wait_until(lambda: "flap" not in broker.plugins(), "it to be gone")
        plugin.start()
    broker.wait_state("flap", "active")
    broker.stop()
    journal.wait_for("brokerd stops")
    told = [line.split(":")[0].split(";")[0] for line in journal.of("flap")]
    assert told == [f"plugin flap {what}" for what in ("is active", "is gone", "is active")], journal.of("flap", debug=True)


def test_a_definition_that_is_mended_and_still_wrong_is_told_of(logging, journal):
    journal.read()
    broker = logging(timeout=1)
    broker.start()
    for port in (1, 2):
        broker.define("moved", f"tcp://127.0.0.1:{port}")
        journal.wait_for(f"127.0.0.1:{port}", EVENT="failed", PRIORITY="4")


def test_a_journald_that_does_not_read_holds_up_nothing(logging, journal):
    """Its socket takes a handful of entries; brokerd keeps the others, and works on."""
    broker = logging(timeout=1)
    names = [f"plugin{number:03}" for number in range(300)]
    for name in names:
        broker.define(name, f"unix:///nonexistent/{name}.sock")
    broker.start()
    assert len(broker.plugins()) == len(names)
    wait_until(lambda: all(plugin["State"] == "failed" for plugin in broker.plugins().values()), "all of them to have failed", 30)
    journal.read()
    for name in names:
        journal.wait_for("has failed", PLUGIN_NAME=name)
    assert not [entry for entry in journal.entries if "lost" in entry["MESSAGE"]]
    assert [entry["MESSAGE"] for entry in journal.entries if "is ready" in entry["MESSAGE"]]


def test_journald_may_be_started_anew(logging, journal, closing):
    broker = logging()
    broker.start()
    journal.read()
    journal.wait_for("is ready")
    journal.close()
    closing.things.remove(journal)
    broker.define("meanwhile", "unix:///nonexistent/meanwhile.sock")
    broker.wait_state("meanwhile", "activating")
    again = closing.add(Journal()).read()
    broker.define("later", "unix:///nonexistent/later.sock")
    again.wait_for("plugin later is discovered")
    assert [name for name in ("meanwhile", "later") if again.of(name, debug=True)] == ["meanwhile", "later"]


def test_a_configuration_that_is_refused_at_start_is_found_by_its_id(logging, journal):
    journal.read()
    broker = logging()
    (broker.directory / "brokerd.conf").write_text("# mine\nlive-restore = perhaps\n")
    assert broker.refuse() == "", "it is in the journal"
    refused = journal.wait_for("brokerd.conf:2: ", MESSAGE_ID="616424ae3ba540f0b6859a9637524fe1")
    assert refused["PRIORITY"] == "3" and "live-restore" in refused["REASON"]


def test_without_the_journal_it_is_plain_lines(broker, journal):
    broker = broker(environment={"JOURNAL_STREAM": "1:2"})  # of a parent whose stderr was another one
    broker.start()
    wait_until(lambda: "is ready: 0 plugins" in broker.process.output(), "the line")
    assert "f49b623eef794052b5bc6c7c561d5869" not in broker.process.output()


@pytest.mark.skipif(not shutil.which("journalctl"), reason="there is no journalctl")
def test_journalctl_takes_the_catalogue(directory):
    place = directory / "usr/lib/systemd/catalog"
    place.mkdir(parents=True)
    shutil.copy(CATALOGUE, place)
    subprocess.run(["journalctl", f"--root={directory}", "--update-catalog"], check=True)
    text = subprocess.run(["journalctl", f"--root={directory}", "--dump-catalog"], check=True, capture_output=True, text=True).stdout
    source = CATALOGUE.read_text(encoding="utf-8")
    assert text.count("Defined-By: brokerd") == source.count("Defined-By: brokerd") == source.count("\n-- ")


@pytest.mark.long
def test_a_thousand_plugins_that_are_down_do_not_flood(logging, journal):
    journal.read()
    broker = logging(timeout=1)
    for number in range(1000):
        broker.define(f"plugin{number:03}", f"unix:///nonexistent/{number}.sock")
    broker.start()
    wait_until(lambda: all(plugin["State"] == "failed" for plugin in broker.plugins().values()), "all of them to have failed", 60)
    wait_until(lambda: len([entry for entry in journal.entries if entry.get("EVENT") == "failed"]) == 1000, "a line for each", 60)
    # Each is probed every two seconds. The first sum comes after a minute.
    journal.entries.clear()
    summed = wait_until(lambda: [entry for entry in journal.entries if entry.get("MESSAGE_ID") == "dcc16e868bd64b0aafd767af63202125"],
                        "a line that sums up", 120)
    assert "plugins have failed again and again" in summed[0]["MESSAGE"]
    assert len([entry for entry in journal.entries if int(entry["PRIORITY"]) < 7]) < 10
