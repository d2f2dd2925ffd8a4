"""Makes tar archives byte by byte, also such as no tar program would write."""

import struct

BLOCK = 512
END = bytes(2 * BLOCK)


def octal(value, width):
    """A number field: octal, or base-256 (GNU) where it is negative or too large."""
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    field = bytearray((value & ((1 << (8 * width)) - 1)).to_bytes(width, "big"))
    field[0] = 0xFF if value < 0 else 0x80
    return bytes(field)


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def header(name=b"", kind=b"0", size=0, mode=0o644, uid=0, gid=0, mtime=1_000_000_000, link=b"", device=(0, 0),
           prefix=b"", magic=b"ustar\00000", checksum=None):
    block = bytearray(BLOCK)
    struct.pack_into("100s", block, 0, name)
    struct.pack_into("8s8s8s12s12s", block, 100, octal(mode, 8), octal(uid, 8), octal(gid, 8),
                     size if isinstance(size, bytes) else octal(size, 12), octal(mtime, 12))
    struct.pack_into("8s1s100s8s32s32s8s8s155s", block, 148, b" " * 8, kind, link, magic, b"", b"",
                     octal(device[0], 8), octal(device[1], 8), prefix)
    value = sum(block) if checksum is None else checksum
    struct.pack_into("8s", block, 148, b"%06o\0 " % (value & 0o777777))
    return bytes(block)


def entry(name, data=b"", kind=b"0", **fields):
    name = name.encode() if isinstance(name, str) else name
    if isinstance(fields.get("link"), str):
        fields["link"] = fields["link"].encode()
    if kind == b"5":
        fields.setdefault("mode", 0o755)
    return header(name, kind, fields.pop("size", len(data)), **fields) + padded(data)


def directory(name, **fields):
    return entry(name, kind=b"5", **fields)


def symlink(name, target, **fields):
    return entry(name, kind=b"2", link=target, **fields)


def hardlink(name, target, **fields):
    return entry(name, fields.pop("data", b""), kind=b"1", link=target, **fields)


def device(name, major, minor, kind=b"3", **fields):
    return entry(name, kind=kind, device=(major, minor), **fields)


def fifo(name, **fields):
    return entry(name, kind=b"6", **fields)


def pax_record(key, value):
    key, value = (part.encode() if isinstance(part, str) else part for part in (key, value))
    body = b" " + key + b"=" + value + b"\n"
    size = len(body)
    while len(b"%d" % size) + len(body) != size:
        size = len(b"%d" % size) + len(body)
    return b"%d" % size + body


def pax(records, kind=b"x"):
    """A pax header for the next entry (or, of kind g, for all): a mapping, a list of pairs, or raw bytes."""
    if isinstance(records, dict):
        records = list(records.items())
    data = records if isinstance(records, bytes) else b"".join(pax_record(key, value) for key, value in records)
    return entry("PaxHeaders/x", data, kind=kind)


def gnu_long(name, kind=b"L", size=None):
    name = name.encode() if isinstance(name, str) else name
    data = name + b"\0"
    return header(b"././@LongLink", kind, len(data) if size is None else size, magic=b"ustar  \0") + padded(data)


def tar(*parts):
    return b"".join(parts) + END
