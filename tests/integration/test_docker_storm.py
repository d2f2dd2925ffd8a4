"""Fifty clients do what they like to the same few plugins: every call is answered, the answers and the events tell one story, and
in the end brokerd, its disk and the host agree.

BROKERD_CHAOS_SECONDS says for how long (five seconds)."""

import collections
import json
import os
import tarfile
import threading
import time

import pytest
from harness.history import ABSENT, DISABLED, DOCKER, ENABLED, OWN, Deed, Event, Impossible, Sight, check
from harness.managed import assert_verified, succeed
from harness.remains import Figures, Remains, assert_nothing_left, assert_state_clean
from harness.running import SAMPLE, make_sample
from harness.storm import PATIENCE, CliClient, Journal, Orders, RawClient, RudeClient, counted
from harness.waiting import wait_until

SECONDS = float(os.environ.get("BROKERD_CHAOS_SECONDS", "5"))
PLUGINS = 12
#: Fifty in all, with the two that watch.
CLIENTS = {RawClient: 40, CliClient: 4, RudeClient: 4}
DOCKER_EVENTS = "/events"
#: What somebody who disconnects may leave to be done.
SETTLING = 120


@pytest.fixture
def broker(broker):
    assert SAMPLE.exists(), f"{SAMPLE} does not exist"
    broker = broker(extra=["--live-restore=false"], timeout=PATIENCE).start()
    yield broker
    if broker.process.running:
        for plugin in broker.get("/plugins", timeout=30).json():
            broker.pluginctl("rm", "-f", plugin["Id"], timeout=PATIENCE)


def make_orders(broker, registry, directory):
    for tag in (1, 2):
        image = make_sample(directory / f"image{tag}", "", None, {"etc/version": b"%d" % tag})
        name = f"{registry.host}/storm/image:{tag}"
        succeed(broker.pluginctl("create", name, image))
        succeed(broker.pluginctl("push", name))
        succeed(broker.pluginctl("rm", name))
    archive = directory / "plugin.tar"
    with tarfile.open(archive, "w") as tar:
        for path in ("config.json", "rootfs"):
            tar.add(directory / "image1" / path, path)
    return Orders(f"{registry.host}/storm/image", archive.read_bytes())


def seconds_of(text):
    """Of a time as brokerd writes it, with nine digits behind the point."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone + int(rest) / 1e9


def own_events(stream, names):
    events = {name: [] for name in names}
    for event in stream.seen:
        if event["Plugin"] in events and event["Action"] in OWN.actions:
            events[event["Plugin"]].append(Event(event["Action"], seconds_of(event["Time"])))
    return events


def docker_events(stream, names):
    events = {name: [] for name in names}
    for event in stream.seen:
        name = event["Actor"]["Attributes"]["name"]
        if event["Type"] == "plugin" and name in events:
            events[name].append(Event(event["Action"], event["timeNano"] / 1e9))
    return events


def assert_one_story(rules, events, deeds, sights):
    wrong = []
    for name, told in events.items():
        try:
            check(rules, told, deeds[name], sights[name])
        except Impossible as error:
            wrong.append(f"{name}: {error}")
    assert not wrong, "\n".join(wrong)


def settled(broker):
    plugins = broker.plugins().values()
    return all(plugin["State"] == ("running" if plugin["Enabled"] else "disabled") for plugin in plugins)


def assert_agreed(broker):
    """What Docker's clients are told, what brokerd's are, what the disk has, and what runs."""
    listed = {plugin["Id"]: (plugin["Name"], plugin["Enabled"]) for plugin in broker.get("/plugins", timeout=30).json()}
    shown = {plugin["Id"]: (plugin["Name"], plugin["Enabled"]) for plugin in broker.plugins().values()}
    stored = {identity: (f"{entry['plugin']['Name']}:{entry['plugin']['Tag']}", entry["plugin"]["Enabled"])
              for identity, entry in json.loads((broker.state / "plugins" / "plugins.json").read_text()).items() if len(identity) == 64}
    running = {path.name for path in (broker.runtime / "bundles").iterdir()}
    assert listed == shown == stored
    assert running == {identity for identity, (_name, enabled) in listed.items() if enabled}
    for plugin in broker.plugins().values():
        assert not plugin["Enabled"] or os.path.exists(f"/proc/{plugin['Pid']}"), plugin
    return listed


@pytest.mark.slow
def test_fifty_clients_at_once(broker, registry, directory):
    names = [f"{registry.host}/storm/p{number}:latest" for number in range(PLUGINS)]
    remains, orders, journal = Remains(broker), make_orders(broker, registry, directory), Journal(names)
    own, docker = broker.events(), broker.events(path=DOCKER_EVENTS)
    idle, memory = Figures(broker, remains), broker.memory()
    over, clients = threading.Event(), []
    for kind, count in CLIENTS.items():
        clients += [kind(broker.control, names, journal, orders, f"{kind.__name__} {number}", over) for number in range(count)]
    for client in clients:
        client.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        remains.note()
        time.sleep(0.1)
    over.set()
    for client in clients:
        client.join(2 * PATIENCE)
    assert not [client for client in clients if client.is_alive()], "a call is never answered"
    assert not journal.strange, "\n".join(journal.strange)
    wait_until(lambda: settled(broker), "end of what was given up", SETTLING)
    remains.note()

    succeed(broker.pluginctl("create", "storm/last", directory / "image1"))  # after everything else
    own.wait_for("storm/last:latest", "installed")
    docker.wait(lambda event: event["Actor"]["Attributes"]["name"].startswith("storm/last"), "last event", 10)
    told = own_events(own, names)
    print(f"\n{SECONDS:g} s, {counted(clients)} calls, {sum(map(len, told.values()))} changes: {dict(journal.outcomes)}")
    assert_one_story(OWN, told, journal.own, journal.sights)
    unseen = {name: [] for name in names}  # Docker's events do not tell that what is removed by force is disabled first
    assert_one_story(DOCKER, docker_events(docker, names), journal.docker, unseen)
    assert {name: journal.unexplained(name) for name in names if journal.unexplained(name)} == {}
    done = collections.Counter(event.action for events in told.values() for event in events)
    assert {"installed", "enabled", "disabled", "removed"} <= set(done), done

    for name, enabled in assert_agreed(broker).values():
        if name in told:
            state = ENABLED if enabled else DISABLED
            check(OWN, told[name], journal.own[name], [Sight("the last list", time.time(), time.time(), frozenset({state}))])
    assert_verified(broker)
    for plugin in broker.get("/plugins", timeout=30).json():
        succeed(broker.pluginctl("rm", "-f", plugin["Id"], timeout=PATIENCE))
    assert_nothing_left(remains)
    assert_state_clean(broker)
    wait_until(lambda: not Figures(broker, remains).more_than(idle), lambda: f"what it was: {Figures(broker, remains).more_than(idle)}", 60, 0.2)
    print(f"idle: {idle}; then {Figures(broker, remains)}; memory {memory >> 10} MiB, then {broker.memory() >> 10} MiB")


# -- the judge itself -------------------------------------------------------------------------------------------------

LIFE = [Event("installed", 2), Event("enabled", 4), Event("disabled", 6), Event("removed", 8)]
DEEDS = [Deed(("installed",), 1, 3), Deed(("enabled",), 3, 5), Deed(("disabled",), 5, 7), Deed(("removed",), 7, 9)]


def sight(begin, end, *states):
    return Sight("it was seen", begin, end, frozenset(states))


def test_what_can_be_true_is_believed():
    check(OWN, LIFE, DEEDS, [sight(0, 1, ABSENT), sight(3.5, 3.6, ENABLED, DISABLED), sight(5, 5, ENABLED), sight(0, 9, DISABLED), sight(9, 9, ABSENT)])
    check(OWN, LIFE, [*DEEDS, Deed(("enabled",), 0, certain=False)], [])
    check(OWN, LIFE, [*DEEDS[:2], Deed(("disabled",), 1, certain=False), DEEDS[3]], [])
    # Told late, and so between two calls of which the second one is told of with it.
    check(OWN, [LIFE[0], Event("enabled", 5.5), Event("disabled", 5.6), LIFE[3]], DEEDS, [sight(5, 5, ENABLED)])
    # Two calls at once, of which the one that ends later must have come first.
    check(OWN, [*LIFE[:3], Event("enabled", 7), Event("disabled", 8), Event("removed", 9)],
          [DEEDS[0], Deed(("enabled",), 3, 8), Deed(("enabled",), 6, 7), DEEDS[2], Deed(("disabled",), 7, 9), Deed(("removed",), 8, 9)], [])


@pytest.mark.parametrize("what", [
    "an event without a call", "a call without an event", "an event before its call", "order of events", "order of calls", "what was seen"])
def test_what_cannot_be_true_is_not(what):
    events, deeds, sights = list(LIFE), list(DEEDS), []
    if what == "an event without a call":
        del deeds[2]
    elif what == "a call without an event":
        deeds.append(Deed(("set",), 1, 9))
    elif what == "an event before its call":
        events[1] = Event("enabled", 2.5)
    elif what == "order of events":
        events[1:3] = reversed(events[1:3])
    elif what == "order of calls":
        deeds[1:3] = Deed(("enabled",), 5, 7), Deed(("disabled",), 3, 4)
    else:
        sights = [sight(4.5, 4.5, DISABLED)]
    with pytest.raises(Impossible):
        check(OWN, events, deeds, sights)
