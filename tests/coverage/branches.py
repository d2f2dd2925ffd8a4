"""Branches as llvm-cov counts them, and the table of those that matter."""

import collections
import json
import subprocess

TARGET = 0.95

Branch = collections.namedtuple("Branch", "line column outcome taken")


def count(programs, profiles, merged, root):
    """path -> the Branches of that file, in order. One condition of a template, or of what several programs contain, is one
    condition, and taken if it was anywhere. A "?:" within a braced list is counted wrongly by clang 14: it belongs before the list."""
    raw = sorted(path for path in profiles.iterdir() if path.suffix == ".profraw" and path.stat().st_size > 0)
    # Processes that were killed while they started have left files that are not whole; there is always some good one.
    subprocess.run(["llvm-profdata-14", "merge", "-sparse", "-failure-mode=all", *raw, "-o", merged], check=True, stderr=subprocess.DEVNULL)
    first, *others = programs
    command = ["llvm-cov-14", "export", "-format=text", "-skip-expansions", f"-instr-profile={merged}", first]
    command += [part for program in others for part in ("-object", program)]
    exported = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    found = {}
    for function in exported["data"][0]["functions"]:
        path = function["filenames"][0]
        if not path.startswith(f"{root}/"):
            continue
        conditions = found.setdefault(path.removeprefix(f"{root}/"), collections.Counter())
        for line, column, _, _, when_true, when_false, file, *_ in function["branches"]:
            if file == 0:
                conditions[line, column, "true"] += when_true
                conditions[line, column, "false"] += when_false
    return {path: [Branch(*place, taken > 0) for place, taken in sorted(conditions.items())] for path, conditions in found.items()}


def read_files(path, root):
    """(kind, path) of each file that is to reach the target. A line is a kind and a pattern."""
    files = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, pattern = line.split()
            matching = sorted(str(found.relative_to(root)) for found in root.glob(pattern))
            assert matching, f"{path}: there is no {pattern}"
            files += [(kind, name) for name in matching]
    return files


def read_gaps(path):
    """path -> [(a part of the line, the reason why its missing branches are not taken)]"""
    gaps = collections.defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, part, reason = (field.strip() for field in line.split(" | "))
            gaps[name].append((part, reason))
    return gaps


def is_outcome(branch, source):
    """Whether it is one in the source, too: llvm-cov also counts the default that a switch over an enumeration has not, because
    the compiler sees to it that each value has its case, and that a case was passed over."""
    text = source[branch.line - 1].lstrip()
    return not (text.startswith("switch (") and branch.outcome == "true" or text.startswith("case ") and branch.outcome == "false")


def reason_for(text, gaps):
    return next((reason for part, reason in gaps if part in text), None)


def report(counted, files, gaps, root):
    """Prints the table. Returns whether each file reaches the target, or has reasons."""
    reached = True
    taken = of = 0
    missing = []
    print(f"{'file':<52} {'kind':<8} {'branches':>8} {'taken':>6} {'share':>7}")
    for kind, name in files:
        source = (root / name).read_text(encoding="utf-8").splitlines()
        found = counted.get(name)
        if found is None:
            print(f"{name:<52} {kind:<8} in none of the programs")
            reached = False
            continue
        found = [branch for branch in found if is_outcome(branch, source)]
        lacking = [branch for branch in found if not branch.taken]
        with_reason = [branch for branch in lacking if reason_for(source[branch.line - 1], gaps[name])]
        share = 1 - len(lacking) / len(found) if found else 1
        good = share >= TARGET or len(with_reason) == len(lacking)
        reached = reached and good
        taken, of = taken + len(found) - len(lacking), of + len(found)
        note = "" if share >= TARGET else " with reasons" if good else " BELOW"
        print(f"{name:<52} {kind:<8} {len(found):>8} {len(found) - len(lacking):>6} {share:>7.1%}{note}")
        for branch in lacking:
            text = source[branch.line - 1].strip()
            missing.append(f"{name}:{branch.line}:{branch.column}: never {branch.outcome}: {text}")
            if reason := reason_for(text, gaps[name]):
                missing.append(f"    reason: {reason}")
    print(f"{'all':<61} {of:>8} {taken:>6} {taken / of:>7.1%}")
    print("\nBranches that were never taken:")
    print("\n".join(missing))
    return reached
