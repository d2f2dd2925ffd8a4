"""What lies outside of a rootfs, and must not change."""

import os
import pathlib
import stat


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
