"""daemon/SECURITY.md says which code stops whom, and which test shows it: both must be there."""

import pathlib
import re

from harness.documents import names_of_tests

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "daemon" / "SECURITY.md").read_text(encoding="utf-8")
FILES = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:cpp|h|postrm|prerm|md))`")


def test_tests_that_it_names_exist():
    assert len(names_of_tests(TEXT)) > 80
    for name in sorted(set(re.findall(r"\b\w+_test\.cpp\b", TEXT))):
        assert len(list((REPOSITORY / "tests").rglob(name))) == 1, name


def test_code_that_it_names_exists():
    named = set(FILES.findall(TEXT))
    assert len(named) > 30
    missing = [name for name in named if not any((REPOSITORY / below / name).is_file() for below in ("", "daemon"))]
    assert not missing, missing


def test_every_row_says_what_shows_it():
    for line in TEXT.partition("## Users of the host")[2].partition("## Found")[0].splitlines():
        if not line.startswith("| "):
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert len(cells) == 4 and all(cells), line
        assert cells[3] == "shown by" or "test" in cells[3], line
