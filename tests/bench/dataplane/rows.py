"""A row of the table: one figure of brokerd and of all its peers."""

import dataclasses

from report import Figure


@dataclasses.dataclass
class Target:
    """A limit for brokerd: times the best of the named peers or, without peers, for the figure itself."""
    limit: float
    peers: tuple = ()

    def text(self, unit, more_is_better):
        return f"{'≥' if more_is_better else '≤'} {self.limit:g} {'x' if self.peers else unit}"


@dataclasses.dataclass
class PeerRow:
    work: str
    what: str
    unit: str
    figures: dict  # name to number
    target: Target | None = None
    more_is_better: bool = False
    rivals: tuple = ()  # with whom the ratio compares where the target does not say
    troubles: dict = dataclasses.field(default_factory=dict)  # name to text

    @property
    def best(self):
        names = (self.target and self.target.peers) or self.rivals
        numbers = [self.figures[name] for name in names if name in self.figures]
        return (max if self.more_is_better else min)(numbers) if numbers else None

    @property
    def ratio(self):
        return self.figures["brokerd"] / self.best if "brokerd" in self.figures and self.best else None

    @property
    def met(self):
        reached = self.ratio if self.target and self.target.peers else self.figures.get("brokerd")
        if self.target is None or reached is None:
            return None
        return reached >= self.target.limit if self.more_is_better else reached <= self.target.limit

    def cells(self, names):
        def cell(name):
            if name in self.figures:
                return str(Figure(self.figures[name], self.unit))
            return "failed" if name in self.troubles else ""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} x"
        target = self.target.text(self.unit, self.more_is_better) if self.target else ""
        return [self.work, self.what, *map(cell, names), ratio, target, {True: "met", False: "NOT met", None: ""}[self.met]]

    def as_json(self):
        return {"work": self.work, "what": self.what, "unit": self.unit, "figures": self.figures, "ratio": self.ratio,
                "target": self.target and self.target.text(self.unit, self.more_is_better), "met": self.met,
                "troubles": self.troubles}
