"""A finished build, and some of its files compiled once more: by clang, with counters.

Compiling all of brokerd for the sake of a few dozen files would take longer than everything else here. So these files alone are
compiled, and the programs of the finished build are linked once more with the new objects before the libraries, which then have
nothing to add. Both compilers use the same C++ library.
"""

import json
import pathlib
import re
import shlex
import subprocess

# The last one lets the counters live in a file while the process runs.
COUNTERS = "-fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation"
KEPT = re.compile(r"-(I|D(?!_FORTIFY_SOURCE)|std=)")


class Overlay:
    """`finished`: a build of this tree; `directory`: where the new objects and programs go; `files`: relative to `root`."""

    def __init__(self, finished, directory, root, files):
        self._finished, self._directory, self._root = finished, directory, root
        entries = json.loads((finished / "compile_commands.json").read_text(encoding="utf-8"))
        commands = {entry["file"]: shlex.split(entry["command"]) for entry in entries}
        self._lines = ["rule cc", "  command = clang++-14 $flags -O0 " + COUNTERS + " -MD -MF $out.d -c $in -o $out", "  depfile = $out.d",
                       "  deps = gcc", "  description = compiling $in", "rule link", "  command = cd " + str(finished) + " && $line",
                       "  description = linking $out"]
        self._name = directory / "profile_name.o"
        self._objects = {}  # the name of a library of the finished build -> the objects that take its place
        for name in files:
            self._compile(name, commands[str(root / name)])

    def _compile(self, name, command):
        library = re.search(r"CMakeFiles/(\w+)\.dir/", command[command.index("-o") + 1])[1]
        flags = [word for word in command if KEPT.match(word)]
        made = self._directory / "objects" / f"{name}.o"
        self._objects.setdefault(f"/lib{library}.a", []).append(made)
        self._lines += [f"build {made}: cc {self._root / name}", f"  flags = {' '.join(map(shlex.quote, flags))}"]

    def add(self, program):
        """Links this program of the finished build again, to the same place below `directory`; returns its path."""
        commands = subprocess.run(["ninja", "-C", self._finished, "-t", "commands", program], check=True, capture_output=True, text=True).stdout
        words = next(line for line in commands.splitlines() if f" -o {program} " in line).split()
        made = self._directory / program
        made.parent.mkdir(parents=True, exist_ok=True)
        new = [str(self._name)] + [str(path) for library, paths in self._objects.items() if any(word.endswith(library) for word in words) for path in paths]
        words[words.index(program)] = str(made)
        words[next(number for number, word in enumerate(words) if word.endswith("++"))] = f"clang++-14 {COUNTERS.split()[0]}"
        first = next(number for number, word in enumerate(words) if word.endswith(".a"))
        words[first:first] = new
        self._lines += [f"build {made}: link {' '.join(new)} | {self._finished / program}", f"  line = {' '.join(words)}"]
        return made

    def count_into(self, profiles):
        """Where each process counts, also one that was given no environment: a file for each, written while it runs (%c), so
        that what a killed or confined process has gone through counts, too."""
        source = self._directory / "profile_name.c"
        self._directory.mkdir(parents=True, exist_ok=True)
        source.write_text(f'__attribute__((visibility("hidden"))) const char __llvm_profile_filename[] = "{profiles}/%p%c.profraw";\n',
                          encoding="utf-8")
        self._lines += ["rule c", "  command = clang-14 -c $in -o $out", f"build {self._name}: c {source}"]

    def build(self, jobs):
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "build.ninja").write_text("\n".join(self._lines) + "\n", encoding="utf-8")
        subprocess.run(["ninja", "-C", self._directory, f"-j{jobs}"], check=True)
