"""Docker's SDK for Python, as Debian packages it: one script against brokerd and against a real dockerd, with equal outcomes."""

import concurrent.futures
import contextlib
import os
import threading
import time

import docker
import pytest
from harness.plugin_images import tree
from harness.running import make_sample
from harness.waiting import wait_until

#: With these the client was and is used: what it negotiates, and what older scripts pin.
VERSIONS = ["auto", "1.30"]
#: For what the SDK waits for, also on a machine that does other things as well.
PATIENCE = 120


class Engine:
    """What an SDK talks to, and what only that one does."""

    def __init__(self, name, socket, plugins):
        self.name, self.socket, self.plugins = name, socket, plugins

    def client(self, version="auto"):
        return docker.DockerClient(base_url=f"unix://{self.socket}", version=version, timeout=PATIENCE)

    def rootfs(self, plugin):
        return self.plugins / plugin.id / "rootfs"

    @property
    def is_brokerd(self):
        return self.name == "brokerd"


@pytest.fixture(params=["brokerd", "dockerd"])
def engine(request):
    if request.param == "brokerd":
        broker = request.getfixturevalue("broker")(extra=["--live-restore=false"], timeout=30).start()
        yield Engine("brokerd", broker.control, broker.state / "plugins")
    else:
        dockerd = request.getfixturevalue("shared_dockerd")
        yield Engine("dockerd", dockerd.socket, dockerd.directory / "data" / "plugins")


@pytest.fixture(params=VERSIONS)
def client(request, engine):
    with contextlib.closing(engine.client(request.param)) as client:
        yield client


@pytest.fixture
def sdk(engine):
    with contextlib.closing(engine.client()) as client:
        yield client


@pytest.fixture
def image(directory):
    """What asks for a privilege, so that there is one to be granted. It is another one in each test: dockerd refuses what it has had
    until somebody has cleaned up."""
    return make_sample(directory / "p", "", {"linux": {"capabilities": ["CAP_SYS_ADMIN"]}}, {"etc/version": b"1", "etc/nonce": os.urandom(16)})


def push(client, name):
    """What Plugin.push() should do; see test_push_calls_what_docker_does_not_have."""
    api = client.api
    response = api._post(api._url("/plugins/{0}/push", name), headers={"X-Registry-Auth": "e30="}, stream=True)
    api._raise_for_status(response)
    return list(api._stream_helper(response, decode=True))


def assert_no_error(progress):
    assert progress and not [line for line in progress if "error" in line], progress


def digest_of(progress):
    """The only one that a stream of progress tells."""
    digests = {line["aux"]["Digest"] for line in progress if "aux" in line}
    assert len(digests) == 1, progress
    return digests.pop()


@contextlib.contextmanager
def refused(status, *words, kind=docker.errors.APIError):
    with pytest.raises(kind) as caught:
        yield
    error = caught.value
    assert error.status_code == status, error
    assert error.explanation and all(word in error.explanation for word in words), error


def test_a_plugins_whole_life(engine, client, registry, image):
    name = f"{registry.host}/acme/life:1"
    made = client.plugins.create(name, str(image))
    assert made.name == name and not made.enabled and made.settings["Env"] == ["BEHAVIOUR=", "VOLUMES=/data"]
    assert len(made.id) == 64 and made.attrs["Config"]["Linux"]["Capabilities"] == ["CAP_SYS_ADMIN"]
    whole = tree(engine.rootfs(made))
    assert whole["etc/version"][-1] == b"1" and whole["sbin"][-1] == "bin"
    pushed = push(client, name)
    assert_no_error(pushed)
    made.remove()
    assert client.plugins.list() == []

    plugin = client.plugins.install(name, "short")
    assert plugin.name == "short:latest" and not plugin.enabled
    assert plugin.attrs["PluginReference"] == name
    assert tree(engine.rootfs(plugin)) == whole
    assert [(other.id, other.name) for other in client.plugins.list()] == [(plugin.id, "short:latest")]
    for alias in ("short", "short:latest", plugin.id, plugin.id[:12]):
        assert client.plugins.get(alias).id == plugin.id
    plugin.configure({"VOLUMES": "/mnt"})
    assert plugin.settings["Env"] == ["BEHAVIOUR=", "VOLUMES=/mnt"]
    plugin.enable(timeout=30)
    assert plugin.enabled and client.plugins.get("short").enabled
    plugin.disable()
    assert not plugin.enabled
    plugin.enable()
    plugin.remove(force=True)
    assert client.plugins.list() == []
    refetched = client.plugins.install(name)
    assert refetched.name == name
    assert digest_of(push(client, name)) == digest_of(pushed)
    refetched.remove()


def test_upgrade(engine, sdk, registry, directory):
    names = []
    for number in (1, 2):
        names.append(f"{registry.host}/acme/moving:{number}")
        image = make_sample(directory / f"v{number}", "", {"description": f"version {number}"}, {"etc/version": b"%d" % number})
        made = sdk.plugins.create(names[-1], str(image))
        assert_no_error(push(sdk, names[-1]))
        made.remove()
    plugin = sdk.plugins.install(names[0], "moving")
    plugin.enable()
    privileges = sdk.api.plugin_privileges(names[1])
    with refused(409, "must be disabled before upgrading"):
        list(sdk.api.upgrade_plugin("moving", names[1], privileges))
    plugin.disable()
    assert_no_error(list(plugin.upgrade(names[1])))
    assert plugin.name == "moving:latest" and plugin.attrs["Config"]["Description"] == "version 2"
    assert (engine.rootfs(plugin) / "etc/version").read_bytes() == b"2"
    assert sdk.plugins.get("moving").id == plugin.id
    plugin.enable()
    plugin.disable()
    plugin.remove()


def test_push_calls_what_docker_does_not_have(engine, sdk, registry, image):
    """Plugin.push() of this SDK, and of later ones, posts to /plugins/NAME/pull; nothing else in Docker's API is called so."""
    name = f"{registry.host}/acme/pushed:1"
    plugin = sdk.plugins.create(name, str(image))
    if engine.is_brokerd:
        list(plugin.push())  # nothing: the SDK does not read its progress
        plugin.remove()
        assert sdk.plugins.install(name).name == name
    else:
        with refused(404):
            list(plugin.push())


def test_errors_are_the_sdks_with_status_and_reason(sdk, registry, image, engine):
    with refused(404, "nobody", kind=docker.errors.NotFound):
        sdk.plugins.get("nobody")
    plugin = sdk.plugins.create("acme/wrong", str(image))
    with refused(409, "acme/wrong", "already exists"):
        sdk.plugins.create("acme/wrong", str(image))
    with refused(400 if engine.is_brokerd else 500, "UPPER CASE"):
        sdk.plugins.create("acme/UPPER CASE", str(image))
    with refused(404 if engine.is_brokerd else 500, "acme/nothing"):
        sdk.plugins.install(f"{registry.host}/acme/nothing:1")
    for call in (lambda: plugin.configure({"NOTHING": "1"}), lambda: plugin.configure({"PATH": ""})):
        with refused(500 if not engine.is_brokerd else 400):
            call()
    plugin.enable()
    with refused(409, "already enabled"):
        plugin.enable()
    with refused(409, "is enabled"):
        plugin.remove()
    plugin.disable()
    with refused(409, "disabled"):
        plugin.disable()
    plugin.remove()
    for call in (plugin.reload, plugin.enable, plugin.disable, plugin.remove):
        with refused(404, kind=docker.errors.NotFound):
            call()


@pytest.mark.parametrize("engine", ["brokerd", pytest.param("dockerd", marks=pytest.mark.long)], indirect=True)  # which takes 13 s
def test_a_plugin_that_does_not_start(sdk, directory):
    plugin = sdk.plugins.create("acme/mute", str(make_sample(directory / "p", "exit=3")))
    with refused(500):
        plugin.enable(timeout=1)
    plugin.reload()
    assert not plugin.enabled
    plugin.remove()


def test_privileges_are_compared(sdk, engine, registry, image):
    name = f"{registry.host}/acme/asking:1"
    made = sdk.plugins.create(name, str(image))
    assert_no_error(push(sdk, name))
    made.remove()
    asked = sdk.api.plugin_privileges(name)
    assert [wish["Value"] for wish in asked if wish["Name"] == "capabilities"] == [["CAP_SYS_ADMIN"]]
    if engine.is_brokerd:
        with refused(403, "incorrect privileges"):
            list(sdk.api.pull_plugin(name, [], "short"))
    else:  # too late for a status
        assert "incorrect privilege" in list(sdk.api.pull_plugin(name, [], "short"))[-1]["error"]
    assert sdk.plugins.list() == []


class Watcher(threading.Thread):
    """Keeps what the SDK says of events."""

    def __init__(self, client, **wishes):
        super().__init__()
        self.seen, self._stream = [], client.events(decode=True, **wishes)
        self.start()

    def run(self):
        for event in self._stream:
            self.seen.append(event)

    def close(self):
        self._stream.close()
        self.join(20)


def summary(events):
    """The parts that mean the same at all times."""
    return [(event["Type"], event["Action"], event["Actor"]["Attributes"]["name"]) for event in events]


def test_events(engine, sdk, image, closing):
    name = "acme/told:latest"
    began = time.time()
    everything = [("plugin", action, name) for action in ("create", "enable", "disable", "remove")]
    watching = [closing.add(engine.client()) for _ in range(3)]
    since = None if engine.is_brokerd else began  # dockerd answers first, and then begins to watch
    watchers = [closing.add(Watcher(client, since=since, filters=filters)) for client, filters in zip(
        watching, (None, {"type": "plugin", "event": ["enable", "remove"]}, {"type": "container"}))]
    plugin = sdk.plugins.create(name, str(image))
    plugin.enable()
    plugin.disable()
    plugin.remove()
    wait_until(lambda: len(watchers[0].seen) == 4 and len(watchers[1].seen) == 2, lambda: f"events: {[watcher.seen for watcher in watchers]}")
    assert summary(watchers[0].seen) == everything
    assert summary(watchers[1].seen) == [everything[1], everything[3]]
    assert watchers[2].seen == []
    assert {event["Actor"]["ID"] for event in watchers[0].seen} == {plugin.id}
    assert [event["timeNano"] for event in watchers[0].seen] == sorted(event["timeNano"] for event in watchers[0].seen)
    past = list(sdk.api.events(since=began, until=int(time.time()) + 1, filters={"type": "plugin"}, decode=True))
    assert past == watchers[0].seen


def test_info(engine, sdk, image):
    plugin = sdk.plugins.create("acme/listed", str(image))
    plugin.enable()
    said = sdk.info()
    assert said["ID"] and said["OSType"] == "linux" and {"Volume", "Network", "Authorization", "Log"} <= set(said["Plugins"])
    if engine.is_brokerd:  # dockerd lists the drivers that it has used
        assert said["Plugins"]["Volume"] == ["acme/listed:latest"]
    plugin.disable()
    assert "acme/listed:latest" not in sdk.info()["Plugins"]["Volume"]
    plugin.remove()


def test_versions(engine, sdk):
    assert sdk.ping() is True
    said = sdk.version()
    assert sdk.api.api_version == said["ApiVersion"] and said["Version"] and said["MinAPIVersion"]
    for version in ("1.25", "1.30", said["ApiVersion"]):  # the SDK has plugins from 1.25 on
        with contextlib.closing(engine.client(version)) as pinned:
            assert pinned.version()["ApiVersion"] == said["ApiVersion"] and pinned.plugins.list() == []
    with contextlib.closing(engine.client("1.99")) as pinned, refused(400, "too new"):
        pinned.plugins.list()


def test_clients_side_by_side(engine, directory):
    """Each with connections of its own; of the same plugin nobody gets half a state."""
    images = [make_sample(directory / f"p{number}", "", None, {"etc/number": b"%d" % number}) for number in range(4)]

    def live(number):
        with contextlib.closing(engine.client()) as client:
            plugin = client.plugins.create(f"acme/side{number}", str(images[number]))
            for _ in range(2):
                plugin.enable()
                assert client.plugins.get(plugin.name).enabled
                plugin.disable()
                assert not client.plugins.get(plugin.name).enabled
            plugin.remove()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(live, range(4)))
    with contextlib.closing(engine.client()) as client:
        assert client.plugins.list() == []
