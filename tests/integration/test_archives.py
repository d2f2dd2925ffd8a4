"""Archives that mean harm, and odd ones: refused, or unpacked with nothing outside of the rootfs changed.

RELIABILITY's rows 1, 3 and 15. archive_tool calls daemon/archive as the daemon does, worker process and all.
"""

import hashlib
import os
import pathlib
import stat

import pytest

from archives.corpus import CASES, EITHER, REFUSED
from archives.tool import run


def state_of(directory):
    """Names, types, bytes, modes, owners, link counts, times and attributes of a tree."""
    found = {}
    for path in [directory, *directory.rglob("*")]:
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path)] = (status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_ino, status.st_mtime_ns,
                            status.st_ctime_ns, content, os.readlink(path) if path.is_symlink() else "",
                            tuple(os.listxattr(path, follow_symlinks=False)))
    return found


def make_canary(directory):
    directory.mkdir(mode=0o750)
    (directory / "secret").write_bytes(b"secret")
    (directory / "inner").mkdir()
    (directory / "inner/secret").write_bytes(b"secret")
    os.symlink("secret", directory / "link")


def kind_of(path):
    """What a case's verdict says of a path."""
    if not os.path.lexists(path):
        return None
    mode = os.lstat(path).st_mode
    if stat.S_ISREG(mode):
        return pathlib.Path(path).read_bytes()
    if stat.S_ISLNK(mode):
        return "link:" + os.readlink(path)
    return {stat.S_IFDIR: "dir", stat.S_IFIFO: "fifo", stat.S_IFCHR: "char", stat.S_IFBLK: "block"}[stat.S_IFMT(mode)]


@pytest.fixture(scope="module", params=["plain", "umask 0, deep"])
def place(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("archives")
    if request.param == "plain":
        yield root
        return
    before = os.umask(0)
    root = root / ("deep/" * 100)
    root.mkdir(parents=True)
    yield root
    os.umask(before)


@pytest.mark.parametrize("name", CASES)
def test_hostile_archive(name, place):
    layers, verdict = CASES[name]
    base = place / hashlib.sha256(name.encode()).hexdigest()[:16]
    base.mkdir()
    rootfs = base / "rootfs"
    make_canary(base / "a-canary")
    make_canary(base / "z-canary")
    rootfs.mkdir()
    before = {part: state_of(base / part) for part in ("a-canary", "z-canary")}
    arguments = []
    # An archive's names have room for 100 bytes; longer paths are left as they are, which is a name like any other.
    outside = str(base / "a-canary").encode()
    for number, layer in enumerate(layers):
        encoding, data = layer if isinstance(layer, tuple) else ("none", layer)
        data = data() if callable(data) else data
        if encoding == "none" and b"@OUT@" in data and len(outside) < 80:
            data = with_outside(data, outside)
        (base / f"layer{number}").write_bytes(data)
        arguments.append(f"{encoding}:{base / f'layer{number}'}")
    done = run("unpack", rootfs, *arguments)
    output = done.stdout.decode()
    assert done.returncode in (0, 1), output
    assert "signal" not in output and "status" not in output and "makes no sense" not in output, output
    assert output.isprintable() or output.strip("\n").replace("\n", "").isprintable(), output
    assert {part: state_of(base / part) for part in before} == before
    assert sorted(os.listdir(base)) == sorted(["a-canary", "z-canary", "rootfs", *(f"layer{n}" for n in range(len(layers)))])
    if verdict == REFUSED:
        assert done.returncode == 1, output
    elif verdict != EITHER:
        assert done.returncode == 0, output
        root = os.open(rootfs, os.O_PATH)
        for path, expected in verdict.items():
            expected = expected.replace("@OUT@", outside.decode()) if isinstance(expected, str) and len(outside) < 80 else expected
            assert kind_of(f"/proc/self/fd/{root}/{path}") == expected, path
        os.close(root)
    removed = run("remove", base, "rootfs")
    assert removed.returncode == 0, removed.stdout
    assert not rootfs.exists()
    assert {part: state_of(base / part) for part in before} == before


def with_outside(data, outside):
    """Replaces @OUT@ in each header, and mends its checksum. Pax records, which have a length, keep it as it is."""
    blocks = [data[at:at + 512] for at in range(0, len(data), 512)]
    for index, block in enumerate(blocks):
        if b"@OUT@" not in block or block[257:262] != b"ustar":
            continue
        new = bytearray(block)
        for start, size in ((0, 100), (157, 100), (345, 155)):
            field = bytes(new[start:start + size]).replace(b"@OUT@", outside)[:size]
            new[start:start + size] = field.rstrip(b"\0").ljust(size, b"\0")
        new[148:156] = b" " * 8
        new[148:156] = b"%06o\0 " % sum(new)
        blocks[index] = bytes(new)
    return b"".join(blocks)


def test_corpus_is_large_enough():
    assert len(CASES) >= 150
