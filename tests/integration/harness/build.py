"""What is tested: the build directory, which BROKERD_BUILD names, and how it was made."""

import os
import pathlib
import re

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BROKERD_BUILD", "build/release"))
BUILD = BUILD if BUILD.is_absolute() else REPOSITORY / BUILD


def _sanitizers():
    cache = BUILD / "CMakeCache.txt"
    found = re.search(r"(?m)^BROKERD_SANITIZERS:\w+=(.*)$", cache.read_text(encoding="utf-8")) if cache.exists() else None
    return found[1] if found else ""


#: As -fsanitize= takes them; nothing for an ordinary build.
SANITIZERS = _sanitizers()
#: How many times longer than otherwise something is waited for.
PATIENCE = 4 if SANITIZERS else 1
