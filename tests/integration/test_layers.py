"""Ordinary layers: what brokerd unpacks is what umoci and tar make of the same layers."""

import json
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

from archives.tool import run

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def tree(root, times=True):
    """Everything of a tree that a layer says: types, modes, owners, times, content, links, devices, attributes."""
    found, inodes = {}, {}
    for path in sorted([root, *pathlib.Path(root).rglob("*")]):
        status = path.lstat()
        name = str(path.relative_to(root))
        kind = stat.S_IFMT(status.st_mode)
        attributes = {key: os.getxattr(path, key, follow_symlinks=False)
                      for key in os.listxattr(path, follow_symlinks=False) if not key.startswith("user.overlay")}
        found[name] = (oct(status.st_mode), status.st_uid, status.st_gid,
                       int(status.st_mtime) if times and name != "." else 0,
                       path.read_bytes() if kind == stat.S_IFREG else b"",
                       os.readlink(path) if kind == stat.S_IFLNK else "",
                       status.st_rdev, attributes,
                       inodes.setdefault(status.st_ino, name) if kind == stat.S_IFREG else "")
    return found


def first_state(root):
    for name in ("usr/lib", "usr/bin", "etc/old", "etc/gone", "var/empty"):
        (root / name).mkdir(parents=True)
    os.symlink("usr/lib", root / "lib")
    os.symlink("/nowhere/at all", root / "dangling")
    (root / "usr/bin/plugin").write_bytes(os.urandom(300_000))
    os.setxattr(root / "usr/bin/plugin", "security.capability", CAPABILITY)
    os.link(root / "usr/bin/plugin", root / "usr/bin/alias")
    for number in range(50):
        (root / f"etc/old/{number}").write_text(str(number))
        (root / f"etc/gone/{number}").write_text(str(number))
    (root / "usr/lib/a").write_text("a")
    (root / "file-then-directory").write_text("f")
    (root / "directory-then-file/inner").mkdir(parents=True)
    (root / "l\u00e4nge \u20ac").write_text("umlaut")
    (root / ("n" * 200)).write_text("long")
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(root / "pipe", 0o640)
    with open(root / "sparse", "wb") as file:
        file.truncate(3_000_000)
        file.seek(1_000_000)
        file.write(b"island")
    os.chown(root / "etc/old", 1000, 2000)
    os.chmod(root / "var/empty", 0o1777)
    os.chmod(root / "usr/lib/a", 0o4751)
    os.lchown(root / "dangling", 7, 8)
    for path in root.rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000), follow_symlinks=False)


def second_state(root):
    shutil.rmtree(root / "etc/gone")
    (root / "etc/old/3").unlink()
    (root / "usr/bin/alias").unlink()
    (root / "usr/lib/b").write_text("b")
    (root / "file-then-directory").unlink()
    (root / "file-then-directory").mkdir()
    (root / "file-then-directory/f").write_text("f")
    shutil.rmtree(root / "directory-then-file")
    (root / "directory-then-file").write_text("now a file")
    os.chmod(root / "var/empty", 0o700)
    (root / "null").unlink()
    for name in ("usr/lib/b", "usr/lib", "file-then-directory/f", "file-then-directory"):
        os.utime(root / name, (1_600_000_000, 1_600_000_000))


def third_state(root):
    (root / "etc/gone").mkdir()
    (root / "etc/gone/back").write_text("back")
    (root / "usr/lib/a").unlink()
    os.symlink("b", root / "usr/lib/a")
    (root / "null").write_text("a file")


def umoci(*arguments):
    subprocess.run(["umoci", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def layers_of(layout):
    def blob(descriptor):
        return layout / "blobs" / descriptor["digest"].replace(":", "/")

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][-1]).read_text())
    config = json.loads(blob(manifest["config"]).read_text())
    return [f"gzip:{blob(layer)}:{digest}" for layer, digest in zip(manifest["layers"], config["rootfs"]["diff_ids"])]


def test_layers_as_umoci_unpacks_them(tmp_path):
    layout, bundle = tmp_path / "image", tmp_path / "bundle"
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:x")
    umoci("unpack", "--image", f"{layout}:x", bundle)
    for change in (first_state, second_state, third_state):
        change(bundle / "rootfs")
        umoci("repack", "--refresh-bundle", "--image", f"{layout}:x", bundle)
    reference, ours = tmp_path / "reference", tmp_path / "ours"
    umoci("unpack", "--image", f"{layout}:x", reference)
    ours.mkdir()
    layers = layers_of(layout)
    assert len(layers) == 3
    done = run("unpack", ours, *layers)
    assert done.returncode == 0, done.stdout
    assert tree(ours) == tree(reference / "rootfs")


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "v7", "oldgnu"])
@pytest.mark.parametrize("packing", ["gzip", "zstd", "none"])
def test_a_layer_as_tar_unpacks_it(tmp_path, form, packing):
    source, ours = tmp_path / "source", tmp_path / "ours"
    source.mkdir()
    ours.mkdir()
    first_state(source)
    if form in ("v7", "ustar"):
        (source / ("n" * 200)).unlink()
    if form == "v7":
        (source / "null").unlink()
        (source / "pipe").unlink()
    options = ["--xattrs", "--xattrs-include=*"] if form == "pax" else []
    if form != "pax":
        os.removexattr(source / "usr/bin/plugin", "security.capability")
    subprocess.run(["tar", f"--format={form}", "--sort=name", *options, "-S", "-C", source, "-cf", tmp_path / "layer.tar", "."]
                   if form in ("gnu", "pax", "oldgnu") else
                   ["tar", f"--format={form}", "-C", source, "-cf", tmp_path / "layer.tar", "."], check=True)
    if packing != "none":
        subprocess.run([packing, "-q", "-f", tmp_path / "layer.tar", "-c"], check=True,
                       stdout=open(tmp_path / "layer.packed", "wb"))
    name = "layer.tar" if packing == "none" else "layer.packed"
    done = run("unpack", ours, f"{packing}:{tmp_path / name}")
    assert done.returncode == 0, done.stdout
    assert tree(ours) == tree(source)


def test_a_packed_tree_is_the_same_again(tmp_path):
    source, ours = tmp_path / "source", tmp_path / "ours"
    source.mkdir()
    ours.mkdir()
    first_state(source)
    for name in ("one", "two"):
        done = run("pack", source, tmp_path / name)
        assert done.returncode == 0, done.stdout
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    done = run("unpack", ours, f"gzip:{tmp_path / 'one'}:{done.stdout.decode().split()[0]}")
    assert done.returncode == 0, done.stdout
    assert tree(ours) == tree(source)
