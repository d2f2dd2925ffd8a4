"""The OCI runtime spec of a managed plugin, held against the one that a real dockerd makes of the same plugin."""

import json
import pathlib
import subprocess
import uuid

import pytest
from harness import unix_http
from harness.build import BUILD
from harness.plugin_images import make_plugin
from harness.waiting import wait_until

SPEC_TOOL = BUILD / "tests" / "fixtures" / "spec_tool" / "spec_tool"
PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")
CGROUP = "/brokerd/sample"
IDLE = "trap exit TERM; while :; do sleep 0.1; done"

#: One of everything that a config can ask for. Nothing of it listens: dockerd gives up, and by then its spec was there.
FULL = {
    "entrypoint": ["/bin/sh", "-c"], "workdir": "/data", "network": {"type": "host"}, "ipchost": True, "pidhost": True,
    "propagatedMount": "/mnt/volumes",
    "mounts": [{"name": "conf", "type": "bind", "source": "/tmp", "destination": "/conf", "options": ["rbind", "ro"],
                "settable": ["source"]},
               {"name": "scratch", "type": "tmpfs", "source": "tmpfs", "destination": "/scratch", "options": ["size=1m"]},
               {"name": "shm", "type": "tmpfs", "source": "shm", "destination": "/dev/shm", "options": ["size=2m"]}],
    "env": [{"name": "A", "value": "1", "settable": ["value"]}, {"name": "UNSET", "settable": ["value"]}],
    "args": {"name": "args", "value": [IDLE, "second"], "settable": ["value"]},
    "linux": {"capabilities": ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"],
              "devices": [{"name": "fuse", "path": "/dev/fuse", "settable": ["path"]}, {"path": "/dev/net"}]},
}
#: One that asks for nothing.
PLAIN = {"entrypoint": ["/bin/sh", "-c", IDLE], "network": {"type": ""}}
OPEN = {"entrypoint": ["/bin/sh", "-c", IDLE], "network": {"type": "none"}, "linux": {"allowAllDevices": True}}


def make_idle_plugin(directory, config):
    busybox = pathlib.Path("/bin/busybox").read_bytes()
    plugin = make_plugin(directory, config, files={"bin/busybox": busybox})
    (plugin / "rootfs" / "bin" / "busybox").chmod(0o755)
    for applet in ("sh", "sleep", "cat", "grep"):
        (plugin / "rootfs" / "bin" / applet).symlink_to("busybox")
    return plugin


def spec_of_dockerd(engine, name):
    """What containerd gives to runc, while dockerd waits for the plugin to listen."""
    with subprocess.Popen(["/usr/bin/docker", "-H", f"unix://{engine.socket}", "plugin", "enable", name],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as enabling:
        specs = []

        def found():
            for path in engine.directory.glob("exec/containerd/daemon/*/plugins.moby/*/config.json"):
                try:
                    specs.append(json.loads(path.read_text()))
                except (OSError, ValueError):  # being written, or gone
                    continue
            return specs

        wait_until(found, "a bundle of dockerd's", 30)
        enabling.wait(60)
    return specs[0]


def our_spec(entry, rootfs, sockets, propagated, cgroup, *profile):
    ran = subprocess.run([SPEC_TOOL, entry["plugin"]["Id"], rootfs, sockets, propagated, cgroup, *profile],
                         input=json.dumps(entry), capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def flat(value, path=""):
    """path -> value of each leaf that is not empty, which to a runtime is absence; lists of texts whose order means
    nothing are sorted, mounts go by destination."""
    if isinstance(value, dict):
        leaves = {}
        for key, item in value.items():
            leaves.update(flat(item, f"{path}/{key}"))
        return leaves
    if path == "/mounts":
        return {f"{path}{mount['destination']}": mount for mount in value}
    if path.startswith(("/process/capabilities/", "/linux/maskedPaths", "/linux/readonlyPaths")):
        value = sorted(value)
    return {path: value} if value not in ([], "") else {}


def differences(theirs, ours):
    """path -> (dockerd's, ours), where None is absence."""
    left, right = flat(theirs), flat(ours)
    return {path: (left.get(path), right.get(path)) for path in left.keys() | right.keys() if left.get(path) != right.get(path)}


@pytest.fixture
def specs(directory, bare_dockerd):
    """Makes dockerd's spec and ours of one plugin, ours with dockerd's places."""
    def both(config):
        plugin = make_idle_plugin(directory / "plugin", config)
        bare_dockerd.docker("plugin", "create", "sample/idle", plugin)
        seen = json.loads(unix_http.request(bare_dockerd.socket, "GET", "/plugins/sample/idle/json").body)
        theirs = spec_of_dockerd(bare_dockerd, "sample/idle")
        propagated = str(pathlib.Path(theirs["root"]["path"]).parent / "propagated-mount")
        sockets = next(mount["source"] for mount in theirs["mounts"] if mount["destination"] == "/run/docker/plugins")
        return theirs, our_spec({"plugin": seen}, theirs["root"]["path"], sockets, propagated, CGROUP), seen
    return both


#: What differs on purpose, for every plugin; runtime_spec.cpp has the reasons. path -> check of (dockerd's, ours).
DELIBERATE = {
    # containerd's plugins go where the runtime puts what has no place.
    "/linux/cgroupsPath": lambda theirs, ours: theirs is None and ours == CGROUP,
    # Of the runtime-spec, whose 1.0.x agree in all that is used here.
    "/ociVersion": lambda theirs, ours: theirs.startswith("1.0.") and ours == "1.0.2",
    # brokerd's own limits and score are not a plugin's.
    "/process/rlimits": lambda theirs, ours: theirs is None and ours[0]["type"] == "RLIMIT_NOFILE",
    "/process/oomScoreAdj": lambda theirs, ours: theirs is None and ours == 0,
    # Nothing that a plugin mounts on its socket directory is to appear on the host.
    "/mounts/run/docker/plugins": lambda theirs, ours: {**theirs, "options": 0} == {**ours, "options": 0}
                                  and theirs["options"] == ["rbind", "rshared"] and "rprivate" in ours["options"],
    # CVE-2020-8694.
    "/linux/maskedPaths": lambda theirs, ours: sorted([*theirs, "/sys/devices/virtual/powercap"]) == ours,
}


def assert_only(expected, theirs, ours):
    found = differences(theirs, ours)
    wrong = {path: sides for path, sides in found.items() if path not in expected or not expected[path](*sides)}
    assert not wrong, "\n".join(f"{path}: dockerd {left}, brokerd {right}" for path, (left, right) in wrong.items())
    assert found.keys() == expected.keys()


def without_denied_fuse(rules):
    """Docker denies /dev/fuse after denying everything."""
    return [rule for rule in rules if not (rule.get("minor") == 229 and not rule["allow"])]


def test_full_plugin_as_dockerd_runs_it(specs):
    theirs, ours, seen = specs(FULL)
    assert seen["Config"]["PropagatedMount"] == "/mnt/volumes"
    assert_only({
        **DELIBERATE,
        "/linux/resources/devices": lambda left, right: without_denied_fuse(left) == right,
        # Docker takes its own mount out of the way, and then by mistake the plugin's, too.
        "/mounts/dev/shm": lambda left, right: left is None and right["options"] == ["size=2m"],
        # Root has its capabilities without, and would hand them to the users of programs that it starts.
        "/process/capabilities/inheritable": lambda left, right: left == ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"] and right is None,
    }, theirs, ours)
    # Later mounts cover earlier ones: the order counts, too.
    places = [mount["destination"] for mount in ours["mounts"] if mount["destination"] != "/dev/shm"]
    assert places == [mount["destination"] for mount in theirs["mounts"]]


@pytest.mark.parametrize("config", [PLAIN, OPEN], ids=["plain", "all-devices"])
def test_small_plugin_as_dockerd_runs_it(specs, config):
    theirs, ours, _seen = specs(config)
    expected = dict(DELIBERATE)
    if config is PLAIN:
        expected["/linux/resources/devices"] = lambda left, right: without_denied_fuse(left) == right
    assert_only(expected, theirs, ours)


def run_with_runc(directory, config, limits, script):
    """Runs the script as a plugin of this config and these limits, and returns what it prints."""
    plugin = make_idle_plugin(directory / "plugin", config)
    identity = uuid.uuid4().hex
    entry = {"plugin": {"Id": identity, "Name": "sample/idle:latest", "Enabled": False,
                        "Config": {**json.loads((plugin / "config.json").read_text()), "entrypoint": ["/bin/sh", "-c", script]}}}
    granted = []
    if config.get("linux", {}).get("capabilities"):
        granted.append({"Name": "capabilities", "Value": config["linux"]["capabilities"]})
    entry["brokerd"] = {"version": 1, "limits": limits, "granted": granted}
    bundle = directory / "bundle"
    for path in (bundle, directory / "sockets", directory / "propagated"):
        path.mkdir()
    profile = [PROFILE] if PROFILE.exists() else []
    spec = our_spec(entry, plugin / "rootfs", directory / "sockets", directory / "propagated", f"/brokerd/{identity}", *profile)
    (bundle / "config.json").write_text(json.dumps(spec))
    ran = subprocess.run(["runc", "--root", directory / "runc", "run", "--bundle", bundle, identity], capture_output=True,
                         text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_runc_runs_it_with_filter_capabilities_and_limits(directory):
    config = {"network": {"type": ""}, "linux": {"capabilities": ["CAP_SYS_ADMIN"]}}
    limits = {"Memory": 64 << 20, "NanoCpus": 500_000_000, "Pids": 50}
    out = run_with_runc(directory, config, limits, "cat /proc/self/status; cat /sys/fs/cgroup/pids.max || cat /sys/fs/cgroup/pids/pids.max; "
                        "cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes")
    status = dict(line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) & 1 << 21 and int(status["CapInh"], 16) == 0
    assert status["Seccomp"].strip() == ("2" if PROFILE.exists() else "0")
    assert out.splitlines()[-2:] == ["50", str(64 << 20)]


def test_a_user_that_is_not_root_keeps_what_was_granted_and_no_more(directory):
    config = {"network": {"type": ""}, "user": {"uid": 7, "gid": 8}, "linux": {"capabilities": ["CAP_NET_ADMIN"]}}
    out = run_with_runc(directory, config, {}, "cat /proc/self/status")
    status = dict(line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["7"] * 4 and status["Gid"].split() == ["8"] * 4
    assert int(status["CapEff"], 16) == int(status["CapAmb"], 16) == 1 << 12
