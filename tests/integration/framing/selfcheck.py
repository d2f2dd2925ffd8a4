"""Tries the suite itself: a strict proxy must pass every case, and each faulty one must be caught."""

import proxies
import reference

#: For each fault, cases that must fail with it: evidence that those cases can fail at all.
MUST_FAIL = {
    "relay": ("cl-plus", "smuggle-CL.TE-vt", "host-missing", "hop-named", "bad-status-99", "size-hex-prefix",
              "mutated-requests-0", "mutated-answers-0"),
    "keeps-hop-by-hop": ("hop-named", "hop-te", "hop-upgrade", "answer-hop-named"),
    "lax-framing": ("both-cl-te", "ends-lf-everywhere", "chunk-all-lf", "smuggle-CL.TE", "name-blank-length",
    "mutated-requests-0"),
    "no-close": ("cl-plus", "host-missing", "both-cl-te"),
    "retries": ("bad-cut-head-nothing-close", "bad-status-99"),
    "silent": ("bad-status-99", "bad-cut-length-4-of-5"),
    "forwards-head-early": ("size-hex-prefix", "chunked-one"),
    "no-100": ("expect-wait",),
    "truncates-silently": ("bad-cut-length-4-of-5",),
    "swaps-answers": ("answer-status-200", "cl-1"),
    "repeats-error": ("cl-plus", "host-missing"),
    "old-chunks": ("answer-to-1.0-length", "1.0-GET"),
}


def faulty(fault):
    return type("Faulty", (proxies.Reference,), {"fault": fault})


def main(judge, failures, table):
    outcome, _ = judge(proxies.Reference)
    failed = failures(outcome)
    print("\n".join(table(outcome)))
    for transport, check in failed[:10]:
        print("the strict proxy FAILED %s %s %s: %s" % (check.name, check.variant, transport, check.got[:300]))
    assert set(MUST_FAIL) == set(reference.FAULTS), "each fault has its cases"
    missed = 0
    for fault, names in MUST_FAIL.items():
        outcome, _ = judge(faulty(fault), only=list(names), patience=1.0)
        caught = {check.name for _, check in failures(outcome)}
        lost = [name for name in names if not any(one == name or one.startswith(name + "/") for one in caught)]
        missed += len(lost)
        print("fault %-20s %3d checks failed as they must%s" % (fault, len(failures(outcome)),
                "; MISSED by " + ", ".join(lost) if lost else ""))
    passed = sum(len(names) for names in MUST_FAIL.values()) - missed + (not failed)
    print("\n%d passed, %d failed" % (passed, missed + bool(failed)))
    return 1 if missed or failed else 0
