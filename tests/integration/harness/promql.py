"""What a PromQL expression speaks of: enough of the language for dashboards and rules, not all of it."""

import re

_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^{}]*)\})?(\s*\()?")
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"\s*(?:,|$)')
_KEYWORDS = {"and", "or", "unless", "bool", "offset", "by", "on"}


def metrics_and_labels(expression):
    """({metric: labels that its selectors name}, labels that the expression groups by)."""
    grouped = {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",") if label.strip()}
    rest = re.sub(r"\[[^\]]*\]", "", _GROUPING.sub(" ", expression))
    metrics = {}
    for name, matchers, call in _SELECTOR.findall(rest):
        if call or name in _KEYWORDS:
            continue
        metrics.setdefault(name, set()).update(_labels(matchers))
    return metrics, grouped


def _labels(matchers):
    labels, at = set(), 0
    while at < len(matchers):
        match = _MATCHER.match(matchers, at)
        assert match, f"not matchers: {matchers}"
        labels.add(match[1])
        at = match.end()
    return labels
