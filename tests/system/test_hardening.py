"""What the compiler and the linker were asked for, read from the installed programs."""

import json
import re
import shlex
import subprocess

import pytest
from inside import BUILD

PROGRAMS = ("sbin/brokerd", "bin/pluginctl", "libexec/brokerd/brokerd-shim")
ENDBR64 = bytes.fromhex("f30f1efa")
# What Debian 12's C library brings to each program. It is built without CET, so the linker leaves the mark out of the whole program.
START_FILES = ("Scrt1.o", "crti.o", "crtn.o")


def text_of(*command):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def readelf(option, path):
    return text_of("readelf", "--wide", option, path)


@pytest.fixture(params=PROGRAMS)
def program(request, installed):
    return installed / request.param


def has_cet_mark(path):
    return re.search(r"x86 feature: IBT, SHSTK", readelf("--notes", path)) is not None


def test_these_are_all_the_programs(installed):
    found = {path for path in installed.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"}
    assert found == {installed / name for name in PROGRAMS}


def test_no_installed_file_is_another_users_to_change_or_runs_as_its_owner(installed):
    for path in installed.rglob("*"):
        if not path.is_symlink():
            assert not path.stat().st_mode & 0o7022, path


def test_is_loaded_anywhere(program):
    assert re.search(r"Type:\s+DYN \(Position-Independent Executable file\)", readelf("--file-header", program))
    assert re.search(r"\(FLAGS_1\)\s+Flags:.*\bPIE\b", readelf("--dynamic", program))


def test_what_the_linker_writes_is_read_only_from_the_start(program):
    """Full RELRO: the part is there, and every function is bound before main."""
    assert re.search(r"(?m)^\s+GNU_RELRO\s", readelf("--program-headers", program))
    dynamic = readelf("--dynamic", program)
    assert re.search(r"\(FLAGS\)\s+BIND_NOW", dynamic) and re.search(r"\(FLAGS_1\)\s+Flags:.*\bNOW\b", dynamic)
    assert not re.search(r"(?m)\s\.got\.plt\s", readelf("--section-headers", program))


def test_nothing_is_writable_and_executable(program):
    segments = re.findall(r"(?m)^\s+(\w+)\s+(?:0x\w+\s+){5}([RWE ]{3})\s", readelf("--program-headers", program))
    assert {"LOAD", "GNU_STACK"} <= {kind for kind, _flags in segments}
    assert [segment for segment in segments if "W" in segment[1] and "E" in segment[1]] == []
    assert dict(segments)["GNU_STACK"] == "RW "


def test_libraries_come_from_the_system_alone_and_code_is_not_rewritten(program):
    dynamic = readelf("--dynamic", program)
    assert "(NEEDED)" in dynamic and not re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", dynamic)
    assert not re.search(r"\(FLAGS\).*TEXTREL", dynamic)


def imports(program):
    return {line.split()[7].partition("@")[0] for line in readelf("--dyn-syms", program).splitlines() if " UND " in line and len(line.split()) > 7}


def test_stacks_are_guarded(program):
    assert "__stack_chk_fail" in imports(program)


def test_functions_of_the_c_library_check_their_buffers(installed):
    """The shim has no call that is left to be checked: all its sizes are known when it is compiled."""
    checked = {name: {symbol for symbol in imports(installed / name) if re.fullmatch(r"__\w+_chk", symbol)} for name in PROGRAMS}
    assert checked["sbin/brokerd"] >= {"__memcpy_chk", "__snprintf_chk"} and checked["bin/pluginctl"] >= {"__memcpy_chk"}, checked


def test_the_compiler_was_asked_for_all_of_it():
    """What a program does not show: the level of FORTIFY, and stacks that cannot jump over their guard page."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    sources = re.search(r"(?m)^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", (BUILD / "CMakeCache.txt").read_text())[1]
    ours = [entry for entry in commands if re.match(rf"{re.escape(sources)}/(common|daemon|cli)/", entry["file"])]
    assert len(ours) > 200
    for entry in ours:
        words = shlex.split(entry["command"])
        level = [word for word in words if re.match(r"-[DU]_FORTIFY_SOURCE", word)][-1]
        optimised = [word for word in words if re.fullmatch(r"-O\w*", word)][-1]
        assert (level, optimised) == ("-D_FORTIFY_SOURCE=3", "-O2"), entry["file"]
        assert {"-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection"} <= set(words), entry["file"]
        assert {"-fPIE", "-fPIC"} & set(words), entry["file"]


def functions(program):
    """Name -> first bytes of each function that others can see and that lies in the program."""
    place = re.search(r"\s\.text\s+PROGBITS\s+(\w+)\s+(\w+)\s+(\w+)", readelf("--section-headers", program))
    start, offset, size = (int(number, 16) for number in place.groups())
    data, found = program.read_bytes(), {}
    for line in readelf("--syms", program).splitlines():
        words = line.split()
        if len(words) > 7 and words[3] == "FUNC" and words[4] in ("GLOBAL", "WEAK") and words[6] != "UND":
            at = int(words[1], 16) - start
            if 0 <= at < size:
                found[words[7]] = data[offset + at:offset + at + len(ENDBR64)]
    return found


def test_indirect_calls_may_only_reach_functions(program):
    """CET: every function of ours can be told to be one. Where the C library says so of its own parts, the whole program must."""
    entries = functions(program)
    if not entries:
        pytest.skip("the program has been stripped")
    assert len(entries) > 100 and entries["main"] == ENDBR64
    others = {name for name, begin in entries.items() if begin != ENDBR64}
    start_files = [text_of("gcc", f"-print-file-name={name}").strip() for name in START_FILES]
    marked = [has_cet_mark(path) for path in start_files]
    assert others <= {"_start"}, others  # Scrt1.o's
    assert has_cet_mark(program) == all(marked), "each object but the C library's is marked"
