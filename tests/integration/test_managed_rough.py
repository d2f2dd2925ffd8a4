"""Managed plugins and what goes wrong around them: nothing of one user's is lost to another's mistake."""

import json
import pathlib
import shutil

from harness import unix_http
from harness.managed import blobs, inspect, leftovers, push_plugin, rootfs, succeed
from harness.plugin_images import make_plugin, tree
from harness.waiting import wait_until

#: As many calls to plugins as the daemon makes at the same time.
CALLS = 64


def test_a_bad_setting_takes_away_no_plugin_that_was_there(started, registry, directory):
    push_plugin(started, registry, "acme/kept", directory / "p")
    name = f"{registry.host}/acme/kept"
    failed = started.pluginctl("install", "--disable", name, "NOTHING=1")
    assert failed.returncode == 1 and started.get("/plugins").json() == []
    succeed(started.pluginctl("install", "--disable", name, "DEBUG=7"))
    before = inspect(started, name)
    failed = started.pluginctl("install", "--disable", name, "NOTHING=1")
    assert failed.returncode == 1 and "NOTHING" in failed.stderr, failed
    assert inspect(started, name) == before


def test_a_plugin_is_upgraded_by_its_id(started, registry, directory):
    name = f"{registry.host}/acme/moving"
    for tag in (1, 2):
        push_plugin(started, registry, f"acme/moving:{tag}", directory / f"p{tag}", files={"etc/version": str(tag).encode()})
    succeed(started.pluginctl("install", "--disable", "--alias", "moving", f"{name}:1"))
    plugin = inspect(started, "moving")["Id"]
    reply = started.post(f"/plugins/{plugin}/upgrade?remote={name}:2", [], timeout=30)
    assert reply.status == 200 and b"errorDetail" not in reply.body, reply
    assert (rootfs(started, "moving") / "etc/version").read_text() == "2"
    reply = started.post(f"/plugins/{'0' * 64}/upgrade?remote={name}:2", [], timeout=30)
    assert reply.status == 404, reply


def test_an_engine_that_recorded_no_manifest_is_imported(started, bare_dockerd, directory):
    plugin = make_plugin(directory / "p", size=50_000)
    bare_dockerd.docker("plugin", "create", "acme/old:1", plugin)
    root = pathlib.Path(bare_dockerd.directory / "data" / "plugins")
    copy = directory / "copy"
    shutil.copytree(root, copy, symlinks=True)
    record = next(copy.glob("*/rootfs")).parent / "config.json"
    content = json.loads(record.read_text())
    del content["Manifest"]  # as engines before 20.10
    record.write_text(json.dumps(content))
    succeed(started.pluginctl("import", copy))
    assert tree(rootfs(started, "acme/old:1")) == tree(plugin / "rootfs")
    for digest in (content["Config"], *content["Blobsums"]):
        assert digest.removeprefix("sha256:") in blobs(started)
    archive = directory / "saved.tar"
    succeed(started.pluginctl("save", "-o", archive, "acme/old:1"))
    succeed(started.pluginctl("rm", "acme/old:1"))
    succeed(started.pluginctl("load", "--grant-all-permissions", archive))
    assert tree(rootfs(started, "acme/old:1")) == tree(plugin / "rootfs")
    assert leftovers(started) == []


def test_plugins_that_hang_keep_nobody_from_setting_and_removing(broker, mobyfs, directory):
    plugin = mobyfs(delay_method="VolumeDriver.Get=600")
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    succeed(broker.pluginctl("create", "acme/set", make_plugin(directory / "p")))
    connections = [unix_http.Connection(broker.control, timeout=600) for _ in range(CALLS + 4)]
    for connection in connections:
        connection.request("POST", "/broker/v1/plugins/mobyfs/rpc/VolumeDriver.Get", b"{}")
    wait_until(lambda: len(plugin.calls("VolumeDriver.Get")) >= CALLS, "calls in flight", 30)
    succeed(broker.pluginctl("set", "acme/set", "DEBUG=3"))
    assert inspect(broker, "acme/set")["Settings"]["Env"] == ["DEBUG=3"]
    succeed(broker.pluginctl("rm", "acme/set"))
    for connection in connections:
        connection.close()
