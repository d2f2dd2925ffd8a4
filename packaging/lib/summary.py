"""Adds up JUnit result files: names what failed, says where the time went, ends with "N passed, N failed".

Usage: summary.py FILE...   Exit status 1 where a test failed or a file cannot be read.
"""

import sys
import xml.etree.ElementTree as ET


def verdict(case):
    if case.get("status") == "fail" or case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.get("status") in ("disabled", "notrun") or case.find("skipped") is not None:
        return "skipped"
    return "passed"


def main(paths):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    unreadable = 0
    slowest = []
    for path in paths:
        try:
            cases = list(ET.parse(path).getroot().iter("testcase"))
        except (OSError, ET.ParseError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            unreadable += 1
            continue
        for case in cases:
            name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
            result = verdict(case)
            counts[result] += 1
            slowest.append((float(case.get("time") or 0), name))
            if result == "failed":
                print(f"FAILED {name}")
    slowest.sort(reverse=True)
    print("slowest: " + ", ".join(f"{name} {seconds:.0f} s" for seconds, name in slowest[:5]))
    print(f"{counts['passed']} passed, {counts['failed'] + unreadable} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or unreadable else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
