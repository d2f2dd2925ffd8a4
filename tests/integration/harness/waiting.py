"""Waiting for a condition, never for a time."""

import time

from .build import PATIENCE


def wait_until(condition, what, timeout=10.0, pause=0.01):
    """Returns the first true value of condition(); fails after `timeout` seconds, with sanitizers more, with `what` was waited for."""
    deadline = time.monotonic() + PATIENCE * timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            what = what() if callable(what) else what
            raise AssertionError(f"after {timeout:g} s there was still no {what}")
        time.sleep(pause)


def percentile(values, share):
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values):
    return percentile(values, 0.5)
