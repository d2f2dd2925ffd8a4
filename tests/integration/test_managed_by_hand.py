"""Plugins that somebody made by hand, in each way that Docker's documentation ever described, and files that got damaged."""

import json

import pytest
from harness.managed import inspect, succeed
from harness.plugin_images import make_plugin, tree
from harness.waiting import wait_until

ID = "cd851ce43a403"
CONFIG_112 = """{
  "Args": {"Value": null, "Settable": null, "Description": "", "Name": ""}, "Env": null, "Devices": null, "Mounts": null,
  "Capabilities": ["CAP_SYS_ADMIN"], "Description": "sshFS plugin for Docker",
  "Documentation": "https://docs.docker.com/engine/extend/plugins/",
  "Interface": {"Socket": "sshfs.sock", "Types": ["docker.volumedriver/1.0"]},
  "Entrypoint": ["/go/bin/docker-volume-sshfs"], "Workdir": "", "User": {}, "Network": {"Type": "host"}}"""
SETTINGS = '{"Devices": null, "Args": null, "Env": [], "Mounts": []}'
INVENTORY = '{{"%s": {{"plugin": {{{0}, "Active": false, "Tag": "latest", "Name": "vieux/sshfs", "Id": "%s"}}}}}}' % (ID, ID)
#: How the two objects were called: by Docker 1.12, by 1.13 and later, and by the documentation.
SPELLINGS = {
    "1.12": f'"Manifest": {CONFIG_112}, "Config": {SETTINGS}',
    "1.13": f'"Config": {CONFIG_112}, "Settings": {SETTINGS}',
    "documentation": f'"Config": {CONFIG_112}, "Config": {SETTINGS}',
}


def make_by_hand(root, spelling):
    """Steps 2 to 5 of the documentation."""
    directory = root / ID
    (directory / "rootfs" / "go" / "bin").mkdir(parents=True)
    (directory / "rootfs" / "go" / "bin" / "docker-volume-sshfs").write_text("#!/bin/false\n")
    (directory / "config.json").write_text(json.dumps({
        "description": "sshFS plugin for Docker", "documentation": "https://docs.docker.com/engine/extend/plugins/",
        "entrypoint": ["/go/bin/docker-volume-sshfs"], "network": {"type": "host"},
        "interface": {"types": ["docker.volumedriver/1.0"], "socket": "sshfs.sock"}, "capabilities": ["CAP_SYS_ADMIN"]}))
    (directory / "plugin-settings.json").write_text(SETTINGS)
    (root / "plugins.json").write_text(INVENTORY.format(SPELLINGS[spelling]))


def check(broker):
    plugin = inspect(broker, "vieux/sshfs")
    assert (plugin["Id"], plugin["Name"], plugin["Enabled"]) == (ID, "vieux/sshfs:latest", False)
    assert plugin["Config"]["Linux"]["Capabilities"] == ["CAP_SYS_ADMIN"] and plugin["Config"]["Network"]["Type"] == "host"
    listed = broker.plugins()["vieux/sshfs:latest"]
    assert (listed["Kind"], listed["Implements"], listed["State"]) == ("managed", ["VolumeDriver"], "disabled")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_seven_steps_and_a_restart(broker, spelling):
    broker = broker()
    (broker.state / "plugins").mkdir(parents=True)
    make_by_hand(broker.state / "plugins", spelling)
    broker.start()
    check(broker)
    # What was written is one form, which is read again, and the plugin can be worked with.
    broker.stop()
    broker.start()
    check(broker)
    succeed(broker.pluginctl("rm", ID[:5]))
    assert broker.plugins() == {}


def test_seven_steps_and_a_reload(broker, directory):
    broker = broker().start()
    succeed(broker.pluginctl("create", "acme/before", make_plugin(directory / "p")))
    inventory = json.loads((broker.state / "plugins" / "plugins.json").read_text())
    make_by_hand(broker.state / "plugins", "1.13")
    inventory.update(json.loads((broker.state / "plugins" / "plugins.json").read_text()))
    (broker.state / "plugins" / "plugins.json").write_text(json.dumps(inventory))
    broker.reload()
    broker.wait_state("vieux/sshfs:latest", "disabled")
    check(broker)
    assert inspect(broker, "acme/before")["Name"] == "acme/before:latest"


@pytest.mark.parametrize("damage", ["", "{", "not JSON at all", "[]", "\0" * 4096])
def test_a_damaged_inventory_is_kept_aside_and_rebuilt(broker, directory, damage):
    broker = broker().start()
    plugin = make_plugin(directory / "p", {"network": {"type": "host"}})
    for name in ("acme/one", "acme/two:3"):
        succeed(broker.pluginctl("create", name, plugin))
    succeed(broker.pluginctl("set", "acme/one", "DEBUG=4"))
    before = {name: inspect(broker, name) for name in ("acme/one", "acme/two:3")}
    broker.stop()
    (broker.state / "plugins" / "plugins.json").write_text(damage)
    broker.start()
    assert {name: inspect(broker, name) for name in before} == before
    assert tree(broker.state / "plugins" / before["acme/one"]["Id"] / "rootfs") == tree(plugin / "rootfs")
    kept = [path for path in (broker.state / "plugins").iterdir() if path.name.startswith("plugins.json.damaged")]
    if damage:
        assert [path.read_text() for path in kept] == [damage]
    assert "plugins.json" in broker.process.output()
    succeed(broker.pluginctl("rm", "acme/one", "acme/two:3"))


def test_one_bad_entry_costs_only_itself(broker, directory):
    broker = broker().start()
    succeed(broker.pluginctl("create", "acme/good", make_plugin(directory / "p")))
    broker.stop()
    path = broker.state / "plugins" / "plugins.json"
    inventory = json.loads(path.read_text())
    inventory["bad1"] = {"plugin": {"Name": "acme/bad", "Config": {"entrypoint": 5}}}
    inventory["../../etc"] = next(iter(inventory.values()))
    path.write_text(json.dumps(inventory))
    broker.start()
    assert list(broker.plugins()) == ["acme/good:latest"]
    succeed(broker.pluginctl("set", "acme/good", "DEBUG=1"))
    assert json.loads(path.read_text())["bad1"] == inventory["bad1"], "what could not be read was lost"


def test_a_missing_rootfs_is_reported(broker, directory):
    broker = broker().start()
    succeed(broker.pluginctl("create", "acme/hollow", make_plugin(directory / "p")))
    plugin = inspect(broker, "acme/hollow")
    broker.stop()
    (broker.state / "plugins" / plugin["Id"] / "rootfs").rename(broker.directory / "taken")
    broker.start()
    finding = wait_until(lambda: broker.findings("acme/hollow:latest"), "finding")[0]
    assert finding["Problem"] == "broken" and "rootfs" in finding["Cause"] and finding["Remedy"]
    assert inspect(broker, "acme/hollow")["Id"] == plugin["Id"]
    succeed(broker.pluginctl("rm", "acme/hollow"))


def test_an_inventory_from_a_backup_costs_no_plugin_its_data(broker, directory):
    broker = broker().start()
    succeed(broker.pluginctl("create", "acme/old", make_plugin(directory / "p")))
    backup = (broker.state / "plugins" / "plugins.json").read_text()
    succeed(broker.pluginctl("create", "acme/new", make_plugin(directory / "q")))
    newest = (broker.state / "plugins" / "plugins.json").read_text()
    new = inspect(broker, "acme/new")
    broker.stop()
    (broker.state / "plugins" / "plugins.json").write_text(backup)
    broker.start()
    assert list(broker.plugins()) == ["acme/old:latest"]
    assert new["Id"] in broker.process.output()
    (broker.state / "plugins" / "plugins.json").write_text(newest)
    broker.reload()
    broker.wait_state("acme/new:latest", "disabled")
    assert inspect(broker, "acme/new") == new
    assert (broker.state / "plugins" / new["Id"] / "rootfs" / "bin" / "sample").exists()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_oldest_layout_is_imported(broker, directory, spelling):
    theirs = directory / "theirs" / "plugins"
    theirs.mkdir(parents=True)
    make_by_hand(theirs, spelling)
    broker = broker().start()
    succeed(broker.pluginctl("import", theirs))
    plugin = inspect(broker, "vieux/sshfs")
    assert plugin["Config"]["Linux"]["Capabilities"] == ["CAP_SYS_ADMIN"] and not plugin["Enabled"]
    assert tree(broker.state / "plugins" / plugin["Id"] / "rootfs") == tree(theirs / ID / "rootfs")
