"""The commands that a document shows: fenced blocks of Markdown.

```console   commands after "$ ", each with what it prints. "…" stands for anything within a line, alone on a line for any lines
             or none; blanks count as one.
```sh        a script; what it prints does not matter.

Both are run by bash. A comment before a block says what a reader need not know:
<!-- not run: REASON -->      it cannot run in a test, and why
<!-- fails -->                its commands are to fail
<!-- needs: PROGRAM -->       it runs only where that program is installed
"""

import dataclasses
import pathlib
import re

_FENCE = re.compile(r"(?ms)(?:^<!-- (?P<note>not run: .+?|fails|needs: \S+) -->\n)?^ *```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^ *```$")


@dataclasses.dataclass
class Block:
    line: int  # where its text begins
    language: str
    text: str
    note: str

    @property
    def is_command(self):
        return self.language in ("console", "sh")

    @property
    def why_not(self):
        """Why it is not run; empty where it is."""
        return self.note.partition("not run: ")[2]

    @property
    def needs(self):
        return self.note.partition("needs: ")[2]

    def commands(self):
        """[(command, what it is to print, or None)]."""
        if self.language == "sh":
            return [(self.text, None)]
        found = []
        for part in re.split(r"(?m)^\$ ", self.text)[1:]:
            lines = part.splitlines()
            length = _length(lines)
            found.append(("\n".join(line.removeprefix("> ") for line in lines[:length]), "\n".join(lines[length:])))
        assert self.text.startswith("$ "), f"line {self.line}: a block of console begins with a command"
        return found


def _length(lines):
    """How many lines belong to the command: those after a backslash, too, and those up to the end of a here-document."""
    word = re.search(r"<<'?(\w+)'?", lines[0])
    if word:
        return lines.index(word[1]) + 1
    length = 1
    while lines[length - 1].endswith("\\"):
        length += 1
    return length


def blocks(text):
    return [Block(text.count("\n", 0, match.start("text")) + 1, match["language"], _dedented(match["text"]), match["note"] or "")
            for match in _FENCE.finditer(text)]


def _dedented(text):
    indent = len(text) - len(text.lstrip(" "))
    return "".join(line[min(indent, len(line) - len(line.lstrip(" "))):] for line in text.splitlines(keepends=True))


def fits(shown, printed):
    """Whether that is what the document shows."""
    pattern = ""
    for line in shown.splitlines():
        words = " ".join(line.split())
        pattern += "(?:.*\n)*" if words == "…" else ".*".join(map(re.escape, words.split("…"))) + "\n"
    text = "".join(" ".join(line.split()) + "\n" for line in printed.splitlines() if line.strip())
    return re.fullmatch(pattern, text) is not None


def names_of_tests(text):
    """The tests that a document names, each of which must be there: (file, case)."""
    root = pathlib.Path(__file__).resolve().parents[3] / "tests"
    named = set(re.findall(r"\b(test_\w+\.py)(?:::(test_\w+))?", text))
    for name, case in sorted(named):
        found = list(root.rglob(name))
        assert len(found) == 1, name
        assert not case or f"def {case}(" in found[0].read_text(encoding="utf-8"), f"{name}::{case}"
    return named
