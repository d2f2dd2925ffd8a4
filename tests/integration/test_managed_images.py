"""Managed plugins travel between dockerd, a registry, skopeo and brokerd, and stay what they are."""

import hashlib
import json
import pathlib
import subprocess

from harness.managed import blobs, inspect, rootfs, run, succeed
from harness.plugin_images import CONFIG, make_plugin, make_rclone_plugin, tree

PLUGIN_TYPE = "application/vnd.docker.plugin.v1+json"


def repo_digest(registry, name, tag="latest"):
    """The digest of the manifest that the registry has under this tag."""
    link = registry.storage / f"docker/registry/v2/repositories/{name}/_manifests/tags/{tag}/current/link"
    return link.read_text().strip()


def test_what_docker_made_installs_here(started, registry, bare_dockerd, directory):
    plugin = make_plugin(directory / "p", {"mounts": [
        {"name": "data", "description": "", "type": "bind", "options": ["rbind"], "source": "/srv", "destination": "/mnt/data",
         "settable": ["source"]}], "network": {"type": "host"}, "linux": {"capabilities": ["CAP_SYS_ADMIN"]}}, size=3_000_000)
    name = f"{registry.host}/acme/volumes"
    bare_dockerd.docker("plugin", "create", f"{name}:1.0", plugin)
    bare_dockerd.docker("plugin", "push", f"{name}:1.0")

    said = started.pluginctl("install", "--disable", "--grant-all-permissions", f"{name}:1.0", "DEBUG=3")
    assert f"{name}:1.0" in succeed(said).splitlines()[-1]

    ours, theirs = inspect(started, f"{name}:1.0"), json.loads(bare_dockerd.docker("plugin", "inspect", f"{name}:1.0").stdout)[0]
    assert ours["Config"] == theirs["Config"]
    assert ours["Settings"] == {**theirs["Settings"], "Env": ["DEBUG=3"]}
    assert (ours["Enabled"], ours["Name"]) == (False, f"{name}:1.0")
    assert tree(rootfs(started, f"{name}:1.0")) == tree(plugin / "rootfs")

    # What goes back is what came: the same manifest, to the byte.
    before = repo_digest(registry, "acme/volumes", "1.0")
    assert before.removeprefix("sha256:") in blobs(started)
    succeed(started.pluginctl("push", f"{name}:1.0"))
    assert repo_digest(registry, "acme/volumes", "1.0") == before


def test_what_was_made_here_installs_in_docker(started, registry, bare_dockerd, directory):
    plugin = make_plugin(directory / "p", {"network": {"type": "host"}}, {"etc/two/deep": b"x" * 100_000})
    name = f"{registry.host}/acme/made-here"
    succeed(started.pluginctl("create", name, plugin))
    assert inspect(started, name)["Config"]["Network"]["Type"] == "host"
    assert tree(rootfs(started, name)) == tree(plugin / "rootfs")
    said = succeed(started.pluginctl("push", name))
    digest = repo_digest(registry, "acme/made-here")
    assert digest in said

    bare_dockerd.docker("plugin", "install", "--disable", "--grant-all-permissions", name)
    theirs = json.loads(bare_dockerd.docker("plugin", "inspect", name).stdout)[0]
    assert tree(bare_dockerd.directory / "data" / "plugins" / theirs["Id"] / "rootfs") == tree(plugin / "rootfs")
    ours = inspect(started, name)
    assert {**ours["Config"], "DockerVersion": ""} == {**theirs["Config"], "DockerVersion": ""}
    bare_dockerd.docker("plugin", "push", name)
    assert repo_digest(registry, "acme/made-here") == digest


def test_rclone_round_trips_byte_for_byte(started, registry, directory):
    plugin = make_rclone_plugin(directory / "p")
    name = f"{registry.host}/rclone/docker-volume-rclone:amd64"
    succeed(started.pluginctl("create", name, plugin))
    succeed(started.pluginctl("push", name))
    succeed(started.pluginctl("rm", name))
    assert blobs(started) == set()
    asked = started.pluginctl("install", "--disable", name)  # nobody answers
    assert asked.returncode == 1
    for line in (f'Plugin "{name}" is requesting the following privileges:', " - network: [host]", " - mount: [/tmp]",
                 " - device: [/dev/fuse]", " - capabilities: [CAP_SYS_ADMIN]"):
        assert line in asked.stdout.splitlines()
    besides = asked.stdout.partition("With them it gets, without asking:\n")[2].splitlines()
    assert " - mount target: [/tmp on /data/config (rbind)]" in besides and " - propagated mount: [/mnt]" in besides
    succeed(started.pluginctl("install", "--disable", "--grant-all-permissions", name))
    assert tree(rootfs(started, name)) == tree(plugin / "rootfs")


class Pushed:
    """Puts blobs and manifests of our own making into the registry."""

    def __init__(self, registry, repository):
        self.base = f"http://{registry.host}/v2/{repository}"

    def _curl(self, *arguments):
        return run("curl", "-sSf", *arguments)

    def blob(self, content, media_type):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        headers = run("curl", "-sSf", "-D-", "-o/dev/null", "-XPOST", f"{self.base}/blobs/uploads/")
        location = next(line.split(":", 1)[1].strip() for line in headers.splitlines() if line.lower().startswith("location:"))
        subprocess.run(["curl", "-sSf", "-XPUT", "--data-binary", "@-", "-HContent-Type: application/octet-stream",
                        f"{location}&digest={digest}"], input=content, check=True, capture_output=True)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def manifest(self, tag, document):
        content = json.dumps(document).encode()
        subprocess.run(["curl", "-sSf", "-XPUT", "--data-binary", "@-", f"-HContent-Type: {document['mediaType']}",
                        f"{self.base}/manifests/{tag}"], input=content, check=True, capture_output=True)
        return {"mediaType": document["mediaType"], "digest": "sha256:" + hashlib.sha256(content).hexdigest(), "size": len(content)}


def pack(plugin, compress):
    tar = subprocess.run(["tar", "-C", str(plugin / "rootfs"), "--numeric-owner", "-cf", "-", "."], capture_output=True, check=True).stdout
    return subprocess.run(compress, input=tar, capture_output=True, check=True).stdout


def skopeo_copy(source, destination, *flags):
    run("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", *flags, source, destination)


def test_what_skopeo_copies(started, registry, directory, tmp_path):
    plugin = make_plugin(directory / "p", files={"etc/x": b"y" * 300_000})
    name = f"{registry.host}/acme/original"
    succeed(started.pluginctl("create", name, plugin))
    succeed(started.pluginctl("push", name))
    pushed = Pushed(registry, "acme/as-oci")
    pushed.manifest("latest", {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": pushed.blob((plugin / "config.json").read_bytes(), PLUGIN_TYPE),
        "layers": [pushed.blob(pack(plugin, ["zstd", "-c"]), "application/vnd.oci.image.layer.v1.tar+zstd")]})
    for source in ("original", "as-oci"):
        copy = f"{registry.host}/acme/copy-of-{source}"
        skopeo_copy(f"docker://{registry.host}/acme/{source}", f"docker://{copy}", "--preserve-digests")
        assert repo_digest(registry, f"acme/copy-of-{source}") == repo_digest(registry, f"acme/{source}")
        succeed(started.pluginctl("install", "--disable", "--grant-all-permissions", copy))
        assert tree(rootfs(started, copy)) == tree(plugin / "rootfs"), source
    # A layout on disk, as hosts without network get it.
    layout = tmp_path / "layout"
    skopeo_copy(f"docker://{registry.host}/acme/as-oci", f"oci:{layout}:1")
    as_docker = tmp_path / "as-docker"
    skopeo_copy(f"docker://{name}", f"oci:{as_docker}:1", "--format", "v2s2")
    archive = tmp_path / "archive.tar"
    skopeo_copy(f"docker://{registry.host}/acme/as-oci", f"oci-archive:{archive}:1")
    for number, source in enumerate((layout, as_docker, archive)):
        succeed(started.pluginctl("load", "--grant-all-permissions", "--name", f"acme/loaded{number}", source))
        assert tree(rootfs(started, f"acme/loaded{number}")) == tree(plugin / "rootfs")


def test_what_skopeo_has_emptied_is_refused_with_a_remedy(started, registry, directory):
    """Converting a plugin from Docker's manifest to OCI's, skopeo writes a config without anything of the plugin."""
    name = f"{registry.host}/acme/original"
    succeed(started.pluginctl("create", name, make_plugin(directory / "p")))
    succeed(started.pluginctl("push", name))
    skopeo_copy(f"docker://{name}", f"docker://{registry.host}/acme/emptied", "--format", "oci")
    refused = started.pluginctl("install", "--disable", "--grant-all-permissions", f"{registry.host}/acme/emptied")
    assert refused.returncode == 1 and "skopeo copy --format v2s2" in refused.stderr, refused


def test_platforms_compressions_and_images_that_are_no_plugins(started, registry, directory):
    plugin = make_plugin(directory / "p")
    other = make_plugin(directory / "other", files={"etc/other": b"other"})
    pushed = Pushed(registry, "acme/index")
    manifests = []
    for which, platform in ((other, {"os": "linux", "architecture": "s390x"}), (plugin, {"os": "linux", "architecture": "amd64"})):
        document = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": pushed.blob((which / "config.json").read_bytes(), PLUGIN_TYPE),
                    "layers": [pushed.blob(pack(which, ["zstd", "-c"]), "application/vnd.oci.image.layer.v1.tar+zstd"),
                               pushed.blob(pack(which, ["cat"]), "application/vnd.oci.image.layer.v1.tar")]}
        manifests.append({**pushed.manifest(platform["architecture"], document), "platform": platform})
    pushed.manifest("all", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})
    pushed.manifest("foreign", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests[:1]})
    name = f"{registry.host}/acme/index"
    succeed(started.pluginctl("install", "--disable", "--grant-all-permissions", f"{name}:all"))
    assert tree(rootfs(started, f"{name}:all")) == tree(plugin / "rootfs")

    foreign = started.pluginctl("install", "--disable", "--grant-all-permissions", f"{name}:foreign")
    assert foreign.returncode == 1 and "linux/s390x" in foreign.stderr, foreign

    image = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
             "config": pushed.blob(b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
                                   "application/vnd.docker.container.image.v1+json"),
             "layers": [pushed.blob(pack(plugin, ["gzip", "-c"]), "application/vnd.docker.image.rootfs.diff.tar.gzip")]}
    pushed.manifest("image", image)
    refused = started.pluginctl("install", "--disable", "--grant-all-permissions", f"{name}:image")
    assert refused.returncode == 1 and "plugin" in refused.stderr and "image" in refused.stderr, refused

    missing = started.pluginctl("install", "--disable", "--grant-all-permissions", f"{name}:none")
    assert missing.returncode == 1 and f"{name}:none" in missing.stderr, missing


def test_saved_and_loaded(started, broker, directory, registry, tmp_path):
    plugin = make_plugin(directory / "p", {"network": {"type": "host"}}, size=100_000)
    succeed(started.pluginctl("create", "acme/saved:2", plugin))
    succeed(started.pluginctl("set", "acme/saved:2", "DEBUG=7"))
    archive = tmp_path / "saved.tar"
    succeed(started.pluginctl("save", "-o", archive, "acme/saved:2"))
    digest = {name: blobs(started) for name in ("before",)}["before"]
    succeed(started.pluginctl("rm", "acme/saved:2"))
    assert blobs(started) == set()

    asked = started.pluginctl("load", archive)  # nobody answers
    assert asked.returncode == 1 and " - network: [host]" in asked.stdout, asked
    succeed(started.pluginctl("load", "--grant-all-permissions", archive))
    loaded = inspect(started, "acme/saved:2")
    assert loaded["Settings"]["Env"] == ["DEBUG=7"]
    assert tree(rootfs(started, "acme/saved:2")) == tree(plugin / "rootfs")
    assert blobs(started) == digest
    # And other programs can read it.
    run("skopeo", "inspect", "--raw", f"oci-archive:{archive}")


def test_what_was_loaded_goes_with_the_plugin(started, directory, tmp_path):
    """Loaded blobs wait for their install, and no longer."""
    succeed(started.pluginctl("create", "acme/saved", make_plugin(directory / "p")))
    succeed(started.pluginctl("save", "-o", tmp_path / "saved.tar", "acme/saved"))
    succeed(started.pluginctl("rm", "acme/saved"))
    succeed(started.pluginctl("load", "--grant-all-permissions", tmp_path / "saved.tar"))
    assert blobs(started)
    succeed(started.pluginctl("rm", "acme/saved"))
    assert blobs(started) == set()


def test_a_second_install_and_a_taken_name(started, registry, directory):
    name = f"{registry.host}/acme/twice"
    succeed(started.pluginctl("create", name, make_plugin(directory / "p")))
    succeed(started.pluginctl("push", name))
    succeed(started.pluginctl("rm", name))
    succeed(started.pluginctl("install", "--disable", "--grant-all-permissions", name))
    first = inspect(started, name)
    succeed(started.pluginctl("install", "--disable", "--grant-all-permissions", name))  # the same image: nothing to do
    assert inspect(started, name) == first
    succeed(started.pluginctl("create", f"{registry.host}/acme/else", make_plugin(directory / "q", files={"x": b"y"})))
    succeed(started.pluginctl("push", f"{registry.host}/acme/else"))
    taken = started.pluginctl("install", "--disable", "--grant-all-permissions", "--alias", name, f"{registry.host}/acme/else")
    assert taken.returncode == 1 and "already exists" in taken.stderr, taken
    succeed(started.pluginctl("install", "--disable", "--grant-all-permissions", "--alias", "other", f"{registry.host}/acme/else"))
    assert inspect(started, "other")["PluginReference"].startswith(f"{registry.host}/acme/else")


def test_upgrade_keeps_settings_and_asks_for_what_is_new(started, registry, directory):
    name = f"{registry.host}/acme/moving"
    env = [{"name": "DEBUG", "description": "", "settable": ["value"], "value": "0"},
           {"name": "OLD", "description": "", "settable": ["value"], "value": "o"}]
    succeed(started.pluginctl("create", f"{name}:1", make_plugin(directory / "p1", {"env": env, "network": {"type": "host"}})))
    succeed(started.pluginctl("push", f"{name}:1"))
    env2 = [env[0], {"name": "NEW", "description": "", "settable": ["value"], "value": "n"}]
    plugin = make_plugin(directory / "p2", {"env": env2, "network": {"type": "host"}, "linux": {"capabilities": ["CAP_SYS_ADMIN"]}},
                         {"etc/new": b"new"})
    succeed(started.pluginctl("create", f"{name}:2", plugin))
    succeed(started.pluginctl("push", f"{name}:2"))
    for tag in (1, 2):
        succeed(started.pluginctl("rm", f"{name}:{tag}"))
    succeed(started.pluginctl("install", "--disable", "--grant-all-permissions", "--alias", "moving", f"{name}:1", "DEBUG=5", "OLD=mine"))
    before = inspect(started, "moving")
    asked = started.pluginctl("upgrade", "--skip-remote-check", "moving", f"{name}:2")
    assert asked.returncode == 1 and " - capabilities: [CAP_SYS_ADMIN]" in asked.stdout and "network" not in asked.stdout, asked
    assert inspect(started, "moving") == before
    succeed(started.pluginctl("upgrade", "--skip-remote-check", "--grant-all-permissions", "moving", f"{name}:2"))
    after = inspect(started, "moving")
    assert after["Id"] == before["Id"] and after["PluginReference"].endswith(":2")
    assert after["Settings"]["Env"] == ["DEBUG=5", "NEW=n"]
    assert tree(rootfs(started, "moving")) == tree(plugin / "rootfs")


def test_what_docker_has_is_imported(started, registry, bare_dockerd, directory):
    plugin = make_plugin(directory / "p", {"network": {"type": "host"}}, size=50_000)
    bare_dockerd.docker("plugin", "create", "acme/moved:3", plugin)
    bare_dockerd.docker("plugin", "set", "acme/moved:3", "DEBUG=9")
    root = pathlib.Path(bare_dockerd.directory / "data" / "plugins")
    theirs = json.loads(bare_dockerd.docker("plugin", "inspect", "acme/moved:3").stdout)[0]
    succeed(started.pluginctl("import", root))
    ours = inspect(started, "acme/moved:3")
    assert ours["Settings"] == theirs["Settings"] and ours["Config"] == theirs["Config"] and not ours["Enabled"]
    assert tree(rootfs(started, "acme/moved:3")) == tree(plugin / "rootfs")
    again = succeed(started.pluginctl("import", root))
    assert "already" in again


def test_config_is_checked(started, directory):
    bad = {"unknown network": {"network": {"type": "moon"}}, "relative destination": {"mounts": [
        {"name": "m", "type": "bind", "destination": "x", "source": "/s", "options": []}]},
        "socket": {"interface": {"types": ["docker.volumedriver/1.0"], "socket": "../x.sock"}}}
    for number, (what, config) in enumerate(bad.items()):
        refused = started.pluginctl("create", "acme/bad", make_plugin(directory / f"bad{number}", config))
        assert refused.returncode == 1 and "/" in refused.stderr, (what, refused)
    assert started.plugins() == {} and blobs(started) == set()
    assert CONFIG["entrypoint"]
