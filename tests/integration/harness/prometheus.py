"""A strict reader of Prometheus' text format 0.0.4: what the format does not allow is an error."""

import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(,|$)')


def parse(text):
    """{family: {frozenset of labels, with "" for the suffix: value}}."""
    assert text.endswith("\n") and "\r" not in text
    families, types, present = {}, {}, None
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            name, _, words = line[7:].partition(" ")
            assert re.fullmatch(NAME, name) and words and name not in families, line
            families[name], present = {}, name
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == present and name not in types and not families[name], line
            assert kind in ("counter", "gauge", "histogram"), line
            types[name] = kind
        else:
            _sample(line, present, types, families)
    for name in families:
        assert name in types, name
        if types[name] == "counter":
            assert name.endswith("_total"), name
        if types[name] == "histogram":
            _check_histogram(families[name])
    return families


def _sample(line, present, types, families):
    match = SAMPLE.fullmatch(line)
    assert match, line
    name, labels, value = match.groups()
    suffixes = ("_bucket", "_sum", "_count") if types[present] == "histogram" else ("",)
    assert name.startswith(present) and name[len(present):] in suffixes, line
    key = frozenset([("", name[len(present):]), *_labels(labels or "")])
    assert key not in families[present], f"twice: {line}"
    families[present][key] = float(value)


def _labels(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match and match[1] not in labels, text
        assert (match[3] == ",") == (match.end() < len(text)), text
        labels[match[1]] = re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), match[2])
        at = match.end()
    return labels.items()


def _check_histogram(samples):
    series = {}
    for key, value in samples.items():
        labels = dict(key)
        suffix, bound = labels.pop(""), labels.pop("le", None)
        parts = series.setdefault(frozenset(labels.items()), {"buckets": []})
        assert (bound is not None) == (suffix == "_bucket"), labels
        if bound is None:
            parts[suffix] = value
        else:
            parts["buckets"].append((math.inf if bound == "+Inf" else float(bound), value))
    for labels, parts in series.items():
        bounds, counts = zip(*parts["buckets"])
        assert list(bounds) == sorted(set(bounds)) and bounds[-1] == math.inf, labels
        assert list(counts) == sorted(counts) and counts[-1] == parts["_count"], labels
        assert parts["_sum"] >= 0, labels


def value(families, name, suffix="", **labels):
    """The sample with exactly these labels, or None."""
    return families[name].get(frozenset([("", suffix), *labels.items()]))
