"""What a managed plugin says of its mount points reaches engines as the host sees it."""

import pathlib

import pytest
from harness.running import enable_sample

NAME = "acme/paths"


@pytest.mark.parametrize("propagated", ["/data", ""])
def test_mount_points_are_the_hosts(broker, propagated):
    broker = broker().start()
    identity = enable_sample(broker, NAME, config={"propagatedMount": propagated} if propagated else None)["Id"]
    try:
        plugin = broker.state / "plugins" / identity
        root = plugin / "propagated-mount" if propagated else plugin / "rootfs" / "data"
        for name in (NAME, f"{NAME}:latest"):
            assert broker.call(name, "VolumeDriver.Create", {"Name": "v"}).status == 200
            mounted = broker.call(name, "VolumeDriver.Mount", {"Name": "v", "ID": "1"}).json()
            assert mounted["Err"] == ""
            place = pathlib.Path(mounted["Mountpoint"])
            assert place.parent == root
            assert broker.call(name, "VolumeDriver.Path", {"Name": "v"}).json()["Mountpoint"] == str(place)
            assert broker.call(name, "VolumeDriver.Get", {"Name": "v"}).json()["Volume"]["Mountpoint"] == str(place)
            volumes = broker.call(name, "VolumeDriver.List", {}).json()["Volumes"]
            assert [volume["Mountpoint"] for volume in volumes] == [str(place)]
    finally:
        broker.pluginctl("rm", "-f", NAME)  # it would outlive the broker
