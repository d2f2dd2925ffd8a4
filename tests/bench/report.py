"""What a measurement says, as a row of the table and as JSON."""

import dataclasses
import math


@dataclasses.dataclass
class Figure:
    """A number with its unit: "ms", "MB", "%" or "x"."""
    value: float
    unit: str

    def __str__(self):
        digits = 0 if self.value >= 100 else 1 if self.value >= 10 else 2
        return f"{self.value:.{digits}f} {self.unit}"


@dataclasses.dataclass
class Row:
    """One line of the table. `target` is DESIGN.md's: an upper limit for the ratio to the peer (unit "x") or for the
    figure itself; None where none is set."""
    work: str
    brokerd: Figure | None = None
    peer: Figure | None = None
    peer_name: str = ""
    target: Figure | None = None
    detail: dict = dataclasses.field(default_factory=dict)
    trouble: str = ""

    @property
    def ratio(self):
        return self.brokerd.value / self.peer.value if self.brokerd and self.peer and self.peer.value else None

    @property
    def met(self):
        """True, False, or None where there is nothing to compare."""
        if self.target is None or self.brokerd is None:
            return None
        reached = self.ratio if self.target.unit == "x" else self.brokerd.value
        return None if reached is None else reached <= self.target.value

    def cells(self):
        if self.trouble:
            return [self.work, "", self.trouble, "", str(self.target or ""), "?"]
        met = {True: "met", False: "NOT met", None: ""}[self.met]
        peer = f"{self.peer_name} {self.peer}" if self.peer else ""
        ratio = f"{self.ratio:.2f} x" if self.ratio is not None else ""
        return [self.work, peer, str(self.brokerd or ""), ratio, f"≤ {self.target}" if self.target else "", met]

    def as_json(self):
        return {"work": self.work, "peer_name": self.peer_name, "peer": self.peer and self.peer.value,
                "brokerd": self.brokerd and self.brokerd.value, "unit": self.brokerd and self.brokerd.unit,
                "ratio": self.ratio, "target": self.target and f"<= {self.target}", "met": self.met,
                "trouble": self.trouble, **self.detail}


def table(rows, heads=("work", "peer", "brokerd", "ratio", "target", "")):
    """`rows` are of any class with cells(), one for each of `heads`."""
    lines = [list(heads)] + [row.cells() for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def percentile(samples, percent):
    """The smallest sample that at least `percent` of all do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
