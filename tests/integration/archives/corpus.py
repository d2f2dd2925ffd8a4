"""Hostile and odd archives, each with what has to become of it.

A case is a name, its layers (uncompressed tars, or (encoding, bytes or a function that makes them)), and a verdict: REFUSED, or a mapping of paths in
the rootfs to what must be there: bytes (a file's content), "dir", "link:TARGET", "fifo", "char", "block", or None
(nothing). With a mapping the archive has to be accepted; EITHER leaves it open. Whatever the verdict, nothing outside of
the rootfs may change: the runner looks. "@OUT@" in an archive is replaced by the path of a directory beside the rootfs.
"""

import gzip
import zlib

from .tar_bytes import (BLOCK, device, directory, entry, fifo, gnu_long, hardlink, header, octal, padded, pax, pax_record,
                        symlink, tar)

REFUSED = "refused"
EITHER = "either"
CASES = {}


def case(name, layers, verdict):
    assert name not in CASES, name
    CASES[name] = (layers if isinstance(layers, list) else [layers], verdict)


UPWARDS = ["../evil", "../../evil", "a/../../evil", "./../evil", "a/..", "..", "../", "/../evil", "a/b/../../../evil",
           "..//evil", ".//../evil", "a/../b", "./a/./../../evil", "//../evil"]
ABSOLUTE = {"/abs": "abs", "//abs": "abs", "/./abs": "abs", "/a//b/abs": "a/b/abs", "@OUT@/evil": None}


def traversal():
    for index, name in enumerate(UPWARDS):
        case(f"file {index}: {name}", tar(entry(name, b"x")), REFUSED)
        case(f"directory {index}: {name}", tar(directory(name)), REFUSED)
        case(f"symlink {index}: {name}", tar(symlink(name, "t")), REFUSED)
        case(f"hard link name {index}: {name}", tar(entry("f", b"x"), hardlink(name, "f")), REFUSED)
        case(f"hard link target {index}: {name}", tar(entry("f", b"x"), hardlink("h", name)), REFUSED)
        case(f"pax path {index}: {name}", tar(pax({"path": name}), entry("ok", b"x")), REFUSED)
        case(f"GNU long name {index}: {name}", tar(gnu_long(name), entry("ok", b"x")), REFUSED)
        case(f"pax link {index}: {name}", tar(pax({"linkpath": name}), hardlink("h", "f")), REFUSED)
        case(f"GNU long link {index}: {name}", tar(gnu_long(name, b"K"), hardlink("h", "f")), REFUSED)
        case(f"whiteout {index}: {name}", [tar(entry("f", b"x")), tar(entry(name + "/.wh.f"))], REFUSED)
    for name, place in ABSOLUTE.items():
        expected = {place: b"x"} if place else {}
        case(f"absolute file {name}", tar(entry(name, b"x")), expected)
        case(f"absolute pax path {name}", tar(pax({"path": name}), entry("ok", b"x")), expected | {"ok": None})
        case(f"absolute hard link target {name}", tar(hardlink("h", name)), REFUSED)
        case(f"ustar prefix {name}", tar(entry("last", b"x", prefix=name.encode())), {})
    case("ustar prefix upwards", tar(entry("evil", b"x", prefix=b"a/../..")), REFUSED)
    case("hard link by an absolute name", tar(entry("f", b"x"), hardlink("h", "/f")), {"h": b"x"})


def links():
    for target in ["/", "..", "../..", "@OUT@", "/proc/self/cwd", "/proc/self/root", "/proc/1/root", "/dev/fd/3",
                   "../../../../../../../..", ".", "a/../../.."]:
        # As after a chroot: what is missing in there is an error, what is there is used, and it is never outside.
        case(f"file through a link to {target}", tar(symlink("l", target), entry("l/evil", b"x")), EITHER)
        case(f"file through a lower layer's link to {target}", [tar(symlink("l", target)), tar(entry("l/evil", b"x"))],
             EITHER)
        case(f"file in place of a link to {target}", tar(symlink("l", target), entry("l", b"x")), {"l": b"x"})
        case(f"directory in place of a link to {target}", tar(symlink("l", target), directory("l"), entry("l/f", b"x")),
             {"l": "dir", "l/f": b"x"})
        case(f"hard link through a link to {target}", tar(symlink("l", target), hardlink("h", "l/secret")), REFUSED)
        case(f"whiteout through a link to {target}", [tar(symlink("l", target)), tar(entry("l/.wh.secret"))], {})
        case(f"opaque through a link to {target}",
             [tar(symlink("d", target), entry("kept", b"x")), tar(entry("d/.wh..wh..opq"))], EITHER)
        case(f"whiteout of a link to {target}", [tar(symlink("l", target)), tar(entry(".wh.l"))], {"l": None})
        case(f"hard link to a link to {target}", tar(symlink("l", target), hardlink("h", "l"), entry("h", b"x")),
             {"h": b"x", "l": "link:" + target})
    case("link to the root is the rootfs", tar(symlink("l", "/"), entry("l/f", b"x")), {"f": b"x"})
    case("link upwards stops at the rootfs", tar(symlink("l", "../../.."), entry("l/f", b"x")), {"f": b"x"})
    case("usr merge", [tar(directory("usr"), directory("usr/lib"), symlink("lib", "usr/lib")), tar(entry("lib/f", b"x"))],
         {"usr/lib/f": b"x", "lib": "link:usr/lib"})
    case("chain of links", tar(directory("d"), symlink("a", "b"), symlink("b", "/d"), entry("a/f", b"x")), {"d/f": b"x"})
    case("two links that leave together", tar(directory("a"), symlink("a/b", ".."), symlink("c", "a/b/.."),
                                              entry("c/f", b"x")), {"f": b"x"})
    case("links in a circle", tar(symlink("a", "b"), symlink("b", "a"), entry("a/f", b"x")), REFUSED)
    case("link to itself", tar(symlink("a", "a"), entry("a/f", b"x")), REFUSED)
    case("link that is dangling", tar(symlink("a", "nowhere"), entry("a/f", b"x")), REFUSED)
    case("link and directory change places", tar(directory("d"), entry("d/f", b"1"), symlink("d", "@OUT@"),
                                                 entry("d/f", b"x")), REFUSED)
    case("directory after link, cached parent (745)", tar(directory("d"), entry("d/1", b"1"), symlink("d/l", "@OUT@"),
                                                          entry("d/2", b"2"), entry("d/l/evil", b"x")), REFUSED)
    case("symlink with an empty target", tar(symlink("l", "")), REFUSED)
    case("symlink with a long target", tar(pax({"linkpath": "t" * 5000}), symlink("l", "t")), REFUSED)
    case("symlink with content", tar(entry("l", b"data", kind=b"2", link=b"t"), entry("f", b"x")), EITHER)
    # libarchive 746: hard links with data wrote through what they link to.
    case("hard link with data outside (746)", tar(symlink("l", "@OUT@/secret"), hardlink("h", "l", data=b"evil")), EITHER)
    case("hard link with data (746)", tar(entry("f", b"good"), hardlink("h", "f", data=b"evil")), EITHER)
    case("hard link with data by its absolute name", tar(hardlink("h", "@OUT@/secret", data=b"evil")), REFUSED)
    case("hard link to nothing", tar(hardlink("h", "f")), REFUSED)
    case("hard link to a directory", tar(directory("d"), hardlink("h", "d")), REFUSED)
    case("hard link to the root", tar(hardlink("h", "/")), REFUSED)
    case("hard link to itself", tar(hardlink("h", "h")), REFUSED)
    case("hard link to itself, which is there", tar(entry("h", b"x"), hardlink("h", "h")), {"h": b"x"})
    case("hard link into what it replaces", tar(directory("d"), entry("d/f", b"x"), hardlink("d", "d/f")), REFUSED)
    case("hard link to a lower layer", [tar(entry("f", b"x")), tar(hardlink("h", "f"))], {"h": b"x", "f": b"x"})
    case("hard link twice", tar(entry("f", b"x"), hardlink("h", "f"), hardlink("h", "f")), {"h": b"x"})
    case("hard link in place of a file", tar(entry("f", b"x"), entry("h", b"y"), hardlink("h", "f")), {"h": b"x"})
    case("hard link without a target", tar(hardlink("h", "")), REFUSED)
    case("hard link of the root", tar(entry("f", b"x"), hardlink("./", "f")), REFUSED)


def whiteouts():
    lower = tar(directory("a"), entry("a/x", b"x"), entry("a/y", b"y"), entry("f", b"f"), directory("d"), directory("d/e"),
                entry("d/e/z", b"z"))
    for name in [".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh..", "a/.wh...", ".wh.a/b", "a/.wh.x/y", ".wh.a/../b"]:
        case(f"whiteout named {name}", [lower, tar(entry(name))], REFUSED)
    for name in [".wh..wh.", ".wh..wh.plnk", ".wh..wh.aufs", ".wh..wh..opqx", ".wh..wh.orph/x", ".wh....", ".wh..x"]:
        case(f"odd whiteout {name}", [lower, tar(entry(name))], {name: None, "a/x": b"x", "f": b"f"})
    case("whiteout of a file", [lower, tar(entry(".wh.f"))], {"f": None, "a/x": b"x", ".wh.f": None})
    case("whiteout of a tree", [lower, tar(entry(".wh.d"))], {"d": None})
    case("whiteout in a directory", [lower, tar(entry("a/.wh.x"))], {"a/x": None, "a/y": b"y"})
    case("whiteout of nothing", [lower, tar(entry("q/.wh.x"), entry(".wh.nope"))], {"a/x": b"x", "q": None})
    case("whiteout below a file", [lower, tar(entry("f/.wh.x"))], {"f": b"f"})
    case("whiteout that is a directory", [lower, tar(directory(".wh.f"))], {"f": None})
    case("whiteout that is a symlink", [lower, tar(symlink(".wh.f", "@OUT@"))], {"f": None, ".wh.f": None})
    case("whiteout with content", [lower, tar(entry(".wh.f", b"content"))], {"f": None, ".wh.f": None})
    case("whiteout before its entry", [lower, tar(entry(".wh.f"), entry("f", b"new"))], {"f": b"new"})
    case("whiteout after its entry", [lower, tar(entry("f", b"new"), entry(".wh.f"))], {"f": b"new"})
    case("whiteout after the directory", [lower, tar(directory("d"), entry("d/n", b"n"), entry(".wh.d"))],
         {"d/n": b"n", "d/e": None})
    case("whiteout after a deep entry", [lower, tar(entry("d/e/n", b"n"), entry(".wh.d"))], {"d/e/n": b"n", "d/e/z": None})
    case("whiteout in the first layer", tar(entry("f", b"f"), entry(".wh.f")), {"f": b"f", ".wh.f": None})
    case("opaque first", [lower, tar(entry("a/.wh..wh..opq"), entry("a/n", b"n"))], {"a/n": b"n", "a/x": None, "f": b"f"})
    case("opaque last", [lower, tar(entry("a/n", b"n"), entry("a/.wh..wh..opq"))], {"a/n": b"n", "a/x": None})
    case("opaque keeps a replaced file", [lower, tar(entry("a/x", b"2"), entry("a/.wh..wh..opq"))],
         {"a/x": b"2", "a/y": None})
    case("opaque root", [lower, tar(entry("n", b"n"), entry(".wh..wh..opq"))], {"n": b"n", "a": None, "f": None})
    case("opaque of nothing", [lower, tar(entry("q/.wh..wh..opq"))], {"a/x": b"x"})
    case("opaque of a file", [lower, tar(entry("f/.wh..wh..opq"))], {"f": b"f"})
    case("opaque with kept depth", [lower, tar(entry("d/e/n", b"n"), entry("d/.wh..wh..opq"))],
         {"d/e/n": b"n", "d/e/z": None})
    case("opaque then one more layer", [lower, tar(entry("a/.wh..wh..opq")), tar(entry("a/x", b"3"))], {"a/x": b"3"})
    case("whiteout of a symlink's target keeps it", [tar(entry("f", b"f"), symlink("l", "f")), tar(entry(".wh.l"))],
         {"f": b"f", "l": None})
    case("layers replace types", [lower, tar(entry("a", b"file"), directory("f"), entry("f/in", b"i"), symlink("d", "f"))],
         {"a": b"file", "f": "dir", "f/in": b"i", "d": "link:f"})
    case("a directory stays one", [lower, tar(directory("a", mode=0o700))], {"a/x": b"x"})


def types():
    case("devices", tar(device("c", 1, 3), device("b", 7, 0, kind=b"4"), fifo("p")), {"c": "char", "b": "block", "p": "fifo"})
    case("device 0:0", tar(device("c", 0, 0)), {"c": "char"})
    case("device with a huge number", tar(device("c", 0o7777777, 0o7777777)), REFUSED)
    case("device with a negative number", tar(device("c", -1, -1)), REFUSED)
    case("file in a device", tar(device("c", 1, 3), entry("c/f", b"x")), REFUSED)
    case("file in a file", tar(entry("f", b"x"), entry("f/g", b"y")), REFUSED)
    case("file in a FIFO", tar(fifo("p"), entry("p/f", b"x")), REFUSED)
    case("file in place of a FIFO", tar(fifo("p"), entry("p", b"x")), {"p": b"x"})
    case("file in place of a device", tar(device("c", 1, 1), entry("c", b"x")), {"c": b"x"})
    case("FIFO in place of a tree", tar(directory("d"), entry("d/f", b"x"), fifo("d")), {"d": "fifo"})
    case("unknown type is a file", tar(entry("f", b"x", kind=b"Z")), {"f": b"x"})
    case("contiguous file", tar(entry("f", b"x", kind=b"7")), {"f": b"x"})
    case("old file type", tar(entry("f", b"x", kind=b"\0")), {"f": b"x"})
    case("old directory by its slash", tar(entry("d/", kind=b"\0"), entry("d/f", b"x")), {"d": "dir", "d/f": b"x"})
    case("volume label", tar(entry("label", kind=b"V"), entry("f", b"x")), EITHER)
    case("multi-volume part", tar(entry("part", b"x", kind=b"M")), EITHER)
    case("GNU dump directory", tar(entry("d", b"Yf\0\0", kind=b"D"), entry("f", b"x")), EITHER)
    case("root as a directory", tar(directory("./", mode=0o711), entry("f", b"x")), {"f": b"x"})
    case("root as a file", tar(entry("./", b"x", kind=b"0")), EITHER)
    case("root as a file, really", tar(entry(".", b"x")), REFUSED)
    case("root as a symlink", tar(symlink(".", "@OUT@"), entry("f", b"x")), REFUSED)
    case("root as a FIFO", tar(fifo("/")), REFUSED)
    case("empty name", tar(entry("", b"x")), REFUSED)
    case("setuid and sticky", tar(entry("s", b"x", mode=0o6755), directory("t", mode=0o1777)), {"s": b"x"})
    case("mode of 32 bits", tar(entry("f", b"x", mode=0o7777777)), EITHER)
    case("no permission for anybody", tar(directory("d", mode=0), entry("d/f", b"x", mode=0)), {"d/f": b"x"})
    for owner in [-1, -2, 2**32 - 1, 2**32, 2**40]:
        case(f"owner {owner}", tar(entry("f", b"x", uid=owner)), REFUSED)
        case(f"group {owner}", tar(symlink("l", "t", gid=owner)), REFUSED)
    case("largest owner", tar(entry("f", b"x", uid=2**32 - 2, gid=2**32 - 2)), {"f": b"x"})
    for time in [-1, -(2**40), 2**33, 2**62]:
        case(f"time {time}", tar(entry("f", b"x", mtime=time), directory("d", mtime=time)), {"f": b"x", "d": "dir"})
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    attribute = "SCHILY.xattr."
    case("file capability", tar(pax({attribute + "security.capability": capability}), entry("f", b"x")), {"f": b"x"})
    case("malformed capability", tar(pax({attribute + "security.capability": b"\1\2"}), entry("f", b"x")), REFUSED)
    case("trusted attribute", tar(pax({attribute + "trusted.overlay.opaque": b"y"}), directory("d")), {"d": "dir"})
    case("security attribute", tar(pax({attribute + "security.selinux": b"x"}), entry("f", b"x")), {"f": b"x"})
    case("attribute without a name", tar(pax({attribute: b"x"}), entry("f", b"x")), EITHER)
    case("attribute with an odd name", tar(pax({attribute + "user." + "n" * 300: b"x"}), entry("f", b"x")), REFUSED)
    case("too large attributes", tar(pax({f"{attribute}user.{n}": b"v" * 60000 for n in range(5)}), entry("f", b"x")), REFUSED)
    case("attribute of a symlink", tar(pax({attribute + "user.a": b"x"}), symlink("l", "t")), {"l": "link:t"})


def names():
    case("long name", tar(pax({"path": "n" * 255}), entry("x", b"x")), {"n" * 255: b"x"})
    case("too long a name", tar(pax({"path": "n" * 256}), entry("x", b"x")), REFUSED)
    case("too long a directory", tar(pax({"path": "n" * 256 + "/f"}), entry("x", b"x")), REFUSED)
    deep = "/".join(["d" * 200] * 20)
    case("long path", tar(pax({"path": deep}), entry("x", b"x")), {deep: b"x"})
    case("path beyond PATH_MAX (744)", tar(pax({"path": "/".join(["d" * 200] * 21)}), entry("x", b"x")), REFUSED)
    case("path beyond PATH_MAX through a link (744)", tar(symlink("l", "@OUT@"),
                                                          pax({"path": "l/" + "d/" * 2500 + "evil"}), entry("x", b"x")), REFUSED)
    case("path of slashes", tar(pax({"path": "/" * 4000 + "f"}), entry("x", b"x")), {"f": b"x"})
    case("1000 levels", tar(pax({"path": "d/" * 1000 + "f"}), entry("x", b"x")), {"d/d/d": "dir"})
    case("1100 levels", tar(pax({"path": "d/" * 1100 + "f"}), entry("x", b"x")), REFUSED)
    nest = [symlink("up", "d"), directory("d")]
    nest += [part for level in range(6) for part in (
        pax({"path": "up/" + "e/" * 900}), directory("x"), pax({"path": f"d{level}"}), symlink("x", "t"), symlink("up", "up2")
    )][:3]
    case("nested through links", tar(*nest), EITHER)
    for name in ["new\nline", "tab\t", "back\\slash", "quote\"'", "\x1b[31mred", "-rf", "*", " ", "...", "....", "a.wh.b",
                 "\u00e4\u20ac\U0001f600", "\u202eevil", "PaxHeaders", "@LongLink"]:
        case(f"odd name {name!r}", tar(pax({"path": name}), entry("x", b"x")), {name: b"x"})
    # libarchive 3.6.2 puts pax names into normal form C and offers no way around it.
    case("decomposed name", tar(pax({"path": "e\u0301"}), entry("x", b"x")), EITHER)
    case("name that is no UTF-8", tar(entry(b"\xff\xfe", b"x")), EITHER)
    case("pax name that is no UTF-8", tar(pax({"path": b"\xff\xfe"}), entry("x", b"x")), EITHER)
    case("pax name in binary", tar(pax([("hdrcharset", "BINARY"), ("path", b"\xff\xfe")]), entry("x", b"x")), EITHER)
    case("NUL in a pax path", tar(pax({"path": b"a\0/../../evil"}), entry("x", b"x")), EITHER)
    case("NUL in a pax link", tar(pax({"linkpath": b"@OUT@\0x"}), symlink("l", "t")), EITHER)
    case("NUL in a name", tar(entry(b"a\0../../evil", b"x")), {"a": b"x"})
    case("GNU name without NUL", tar(header(b"././@LongLink", b"L", 512, magic=b"ustar  \0") + b"n" * 512, entry("x", b"x")), REFUSED)
    case("GNU name twice", tar(gnu_long("one"), gnu_long("two"), entry("x", b"x")), EITHER)
    case("GNU name at the end", tar(gnu_long("one")), EITHER)
    case("GNU name of 2 MiB", tar(gnu_long("n/" * (1 << 20)), entry("x", b"x")), REFUSED)
    case("GNU name that is a lie", tar(gnu_long("n", size=1 << 40)), REFUSED)
    case("GNU name with a NUL inside", tar(gnu_long(b"ok\0/../../evil"), entry("x", b"x")), {"ok": b"x"})
    case("GNU and pax name", tar(gnu_long("gnu"), pax({"path": "pax"}), entry("x", b"x")), EITHER)
    case("empty pax path", tar(pax({"path": ""}), entry("x", b"x")), EITHER)
    case("pax path twice", tar(pax([("path", "../evil"), ("path", "good")]), entry("x", b"x")), EITHER)
    case("pax path twice, evil last", tar(pax([("path", "good"), ("path", "../evil")]), entry("x", b"x")), REFUSED)
    case("pax twice", tar(pax({"path": "one"}), pax({"path": "two"}), entry("x", b"x")), EITHER)
    case("pax global path", tar(pax({"path": "../evil"}, kind=b"g"), entry("x", b"x"), entry("y", b"y")), EITHER)
    case("pax global comment", tar(pax({"comment": "c" * 40}, kind=b"g"), entry("x", b"x")), {"x": b"x"})
    case("pax size of the next", tar(pax({"size": "1"}), header(b"f", size=0) + padded(b"x")), EITHER)
    case("pax negative size", tar(pax({"size": "-1"}), entry("f", b"x")), REFUSED)
    case("pax huge size", tar(pax({"size": "9" * 30}), entry("f", b"x")), REFUSED)
    case("pax owner of nobody", tar(pax({"uid": "99999999999"}), entry("f", b"x")), REFUSED)
    case("pax header of 2 MiB", tar(pax({"comment": "c" * (2 << 20)}), entry("f", b"x")), EITHER)
    for raw in [b"5 a=\n", b"0 a=b\n", b"-6 a=b\n", b"99999999999999999999 a=b\n", b"6 a=b", b"path=x\n", b"12 path=../e\n",
                b"8 a=b\n", b"11 path=f\0\n", b"\0" * 20, b" 6 a=b\n", b"6  a=b\n"]:
        case(f"pax record {raw!r}", tar(pax(raw), entry("f", b"x")), EITHER)


def structure():
    good = tar(entry("f", b"x" * 1000), entry("g", b"y"))
    case("empty archive", b"", EITHER)
    case("end only", tar(), {})
    case("no end", entry("f", b"x"), {"f": b"x"})
    case("one block of end", entry("f", b"x") + bytes(BLOCK), {"f": b"x"})
    case("bytes after the end", good + b"garbage" * 1000, {"f": b"x" * 1000})
    case("archive after the end", good + tar(entry("../evil", b"x")), {"g": b"y"})
    for cut in [1, 100, 511, 513, 700, 1023, 1200]:
        case(f"truncated at {cut}", good[:cut], REFUSED)
    case("not a tar", b"this is not a tar archive " * 100, REFUSED)
    case("a zip", b"PK\3\4" + bytes(600), REFUSED)
    case("a cpio", b"070701" + b"0" * 104 + b"x" * 600, REFUSED)
    case("wrong checksum", tar(header(b"f", size=0, checksum=1)), REFUSED)
    case("wrong checksum later", tar(entry("f", b"x"), header(b"g", size=0, checksum=1)), REFUSED)
    case("garbage in the middle", entry("f", b"x") + b"\xa5" * BLOCK + tar(entry("g", b"y")), REFUSED)
    case("negative size", tar(header(b"f", size=-1)), REFUSED)
    case("very negative size", tar(header(b"f", size=-(2**60))), REFUSED)
    case("size of 2^62", tar(header(b"f", size=2**62)), REFUSED)
    case("size of 20 GiB without content", tar(header(b"f", size=20 << 30)), REFUSED)
    case("size of 1 GiB without content", tar(header(b"f", size=1 << 30)), REFUSED)
    case("size that is no number", tar(header(b"f", size=b"zzzzzzzzzzz\0")), EITHER)
    case("size without digits", tar(header(b"f", size=b" " * 12)), EITHER)
    case("directory with content", tar(directory("d", size=0), entry("e", b"x" * 600, kind=b"5"), entry("f", b"x")), EITHER)
    case("the same file twice", tar(entry("f", b"1"), entry("f", b"2")), {"f": b"2"})
    case("the same file by other spellings", tar(entry("f", b"1"), entry("./f", b"2"), entry("//f", b"3")), {"f": b"3"})
    case("file, directory, file", tar(entry("f", b"1"), directory("f"), entry("f/g", b"2"), entry("f", b"3")), {"f": b"3"})
    case("parents missing", tar(entry("a/b/c/d", b"x")), {"a/b/c": "dir", "a/b/c/d": b"x"})
    case("100 000 entries", tar(*(entry(f"d{n % 100}/{n}") for n in range(100_000))), {"d1/1": b""})
    case("100 000 whiteouts", [tar(entry("f", b"x")), tar(*(entry(f".wh.{n}") for n in range(100_000)))], {"f": b"x"})
    case("one file 20 000 times", tar(*(entry("f", b"%d" % n) for n in range(20_000))), {"f": b"19999"})
    case("70 000 hard links", tar(entry("f", b"x"), *(hardlink(f"h{n}", "f") for n in range(70_000))), REFUSED)
    for size, verdict in [(4 << 30, {"s": None}), (20 << 30, REFUSED), (1 << 61, REFUSED)]:
        sparse = header(b"s", b"S", 512, magic=b"ustar  \0")
        block = bytearray(sparse)
        block[386:410] = octal(size - 512, 12) + octal(512, 12)
        block[482] = 0
        block[483:495] = octal(size, 12)
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        case(f"sparse file of {size >> 30} GiB", bytes(block) + tar(b"x" * 512), EITHER if verdict != REFUSED else REFUSED)
    case("sparse map that overlaps", tar(pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s",
                                              "GNU.sparse.realsize": "100"}),
                                         entry("s", padded(b"2\n50\n10\n0\n10\n") + b"x" * 20)), EITHER)
    case("sparse map without end", tar(pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s",
                                            "GNU.sparse.realsize": "100"}), entry("s", b"9" * 512)), REFUSED)
    case("sparse name upwards", tar(pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "../evil",
                                         "GNU.sparse.realsize": "0"}), entry("s", padded(b"0\n"))), REFUSED)


def compression():
    good = tar(entry("f", b"x" * 5000))
    packed = gzip.compress(good, mtime=0)
    case("gzip", ("gzip", packed), {"f": b"x" * 5000})
    case("gzip in two members", ("gzip", gzip.compress(good[:700]) + gzip.compress(good[700:])), {"f": b"x" * 5000})
    case("gzip padded with zeros", ("gzip", packed + bytes(1000)), {"f": b"x" * 5000})
    case("gzip with garbage behind", ("gzip", packed + b"garbage"), REFUSED)
    case("gzip with garbage after padding", ("gzip", packed + bytes(10) + packed), REFUSED)
    case("gzip with a wrong CRC", ("gzip", packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]), REFUSED)
    case("gzip with a wrong length", ("gzip", packed[:-1] + bytes([packed[-1] ^ 1])), REFUSED)
    for cut in [1, 5, 12, len(packed) // 2, len(packed) - 8, len(packed) - 1]:
        case(f"gzip cut at {cut}", ("gzip", packed[:cut]), REFUSED)
    case("gzip of nothing", ("gzip", gzip.compress(b"")), EITHER)
    case("gzip that is empty", ("gzip", b""), EITHER)
    case("gzip that is a plain tar", ("gzip", good), REFUSED)
    case("gzip in gzip", ("gzip", gzip.compress(packed)), REFUSED)
    case("gzip with reserved flags", ("gzip", packed[:3] + b"\xe0" + packed[4:]), REFUSED)
    case("zlib instead of gzip", ("gzip", zlib.compress(good)), REFUSED)
    case("tar that is gzip", ("none", packed), REFUSED)
    case("zstd that is gzip", ("zstd", packed), REFUSED)
    case("zstd with a window of 2 GiB", ("zstd", b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\x00\x00" * 10), REFUSED)
    case("zstd cut", ("zstd", b"\x28\xb5\x2f\xfd\x04"), REFUSED)
    case("a bomb of 1 GiB", ("gzip", lambda: bomb(header(b"bomb", size=1 << 30))), REFUSED)
    case("a bomb behind the end", ("gzip", lambda: bomb(good)), REFUSED)


def bomb(beginning):
    """One GiB of zeros behind `beginning`, compressed; made only when it is needed, as it takes seconds."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    air = bytes(1 << 20)
    return b"".join([packer.compress(beginning), *(packer.compress(air) for _ in range(1024)), packer.flush()])


for family in (traversal, links, whiteouts, types, names, structure, compression):
    family()
