"""Secrets that are planted, and where they must not come to light."""

import base64
import os
import pathlib
import secrets
import subprocess

NOBODY = 65534


class Planted:
    """A secret for each place, unique, of letters and digits alone: no way of writing a text hides it from a search."""

    def __init__(self):
        self._forms = {}  # what must not be found -> the place
        self._told = []   # (what, text)

    def new(self, place, user=None):
        """A secret for this place; with a user, it must not be found as HTTP sends both, either."""
        secret = f"s3cr3t{place}{secrets.token_hex(8)}"
        self._forms[secret.encode()] = place
        if user is not None:
            self._forms[base64.b64encode(f"{user}:{secret}".encode())] = place
        return secret

    def in_text(self, text):
        """The places of those that are in a text."""
        data = text if isinstance(text, bytes) else text.encode()
        return {place for form, place in self._forms.items() if form in data}

    def note(self, what, text):
        """Something that somebody was told. Returns it."""
        self._told.append((what, text))
        return text

    def ran(self, result):
        """A program that has ended: what it said. Returns it."""
        self.note(f"{result.args}: its output", result.stdout)
        self.note(f"{result.args}: its errors", result.stderr)
        return result

    def found(self):
        """What was told of them: each place once, by whom, and the words around it."""
        found = {}
        for what, text in self._told:
            data = text if isinstance(text, bytes) else text.encode()
            for form, place in self._forms.items():
                if (at := data.find(form)) >= 0:
                    found.setdefault((what, place), data[max(0, at - 80):at + 80])
        return found

    def readable(self, *roots):
        """The files below these directories that hold one and that any user could read."""
        found = []
        for root in roots:
            for path in pathlib.Path(root).rglob("*"):
                if path.is_file() and not path.is_symlink() and self.in_text(path.read_bytes()) and is_public(path):
                    found.append(str(path))
        return found


def is_public(path):
    return subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "cat", path],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _read(path):
    try:
        return path.read_bytes()
    except OSError:  # the process has ended
        return b""


def processes_below(pid):
    """The process and all that descends from it, also what a subreaper among them has taken over: pid -> (arguments,
    environment)."""
    parents = {}
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        if fields := _read(place / "stat").rpartition(b")")[2].split():
            parents[int(place.name)] = int(fields[1])
    found, fresh = {pid}, {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return {number: (_read(pathlib.Path(f"/proc/{number}/cmdline")), _read(pathlib.Path(f"/proc/{number}/environ"))) for number in found}


def runtime_that_notes(directory):
    """An OCI runtime that writes down how it was called, and is runc; returns its path and the notes' directory."""
    notes, program = pathlib.Path(directory) / "runtime-notes", pathlib.Path(directory) / "noting-runc"
    notes.mkdir()
    program.write_text(f"#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ >{notes}/$$\nexec runc \"$@\"\n")
    os.chmod(program, 0o755)
    return program, notes
