"""Archives that mean harm, and odd ones: refused, or unpacked with nothing outside of the rootfs changed.

RELIABILITY's rows 1, 3 and 15. archive_tool calls daemon/archive as the daemon does, worker process and all.
"""

import hashlib
import os

import pytest

from archives.corpus import CASES, EITHER, REFUSED
from archives.outside import kind_of, make_canary, state_of, with_outside
from archives.tool import run


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


def test_corpus_is_large_enough():
    assert len(CASES) >= 150
