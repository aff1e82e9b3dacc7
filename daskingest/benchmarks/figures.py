"""Rates of several turns, their ratios, and the report that is made of them."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of several measurements, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Of one measurement or more."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def divided(self, by: float) -> Figure:
        """All of it by a number."""
        return Figure(self.median / by, self.low / by, self.high / by)


@dataclass(slots=True)
class Rates:
    """Words of text a second by what was measured, in the order of the turns."""

    of: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, rate: float) -> None:
        """Add a turn's."""
        self.of.setdefault(name, []).append(rate)

    def median(self, name: str) -> float:
        """Of all turns."""
        return statistics.median(self.of[name])

    def ratio(self, name: str, other: str) -> Figure:
        """How many times as fast as the other it is, turn by turn, so that a drift of the machine
        is in both. If one had more turns, those between two turns of the other count as one."""
        turns = min(len(self.of[name]), len(self.of[other]))
        pairs = zip(_in(turns, self.of[name]), _in(turns, self.of[other]), strict=True)
        return Figure.of([mine / its for mine, its in pairs])


def _in(turns: int, rates: Sequence[float]) -> list[float]:
    """The rates in so many groups of neighbours, the median of each."""
    ends = [len(rates) * turn // turns for turn in range(turns + 1)]
    return [statistics.median(rates[a:b]) for a, b in itertools.pairwise(ends)]


@dataclass(slots=True)
class Benchmark:
    """The results. `stages` are shares of the recognizer's time; `ratios`, and `figures` of what is
    not extraction, go by the names that other programs read. `growth` has rows of tables, by what
    grows, and `peers` what is to be said of each."""

    about: dict[str, Any]
    """Date, corpus and machine."""
    rates: Rates = field(default_factory=Rates)
    stages: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, Figure] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    growth: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The report, from which the tables and the page are made."""
        ratios = {name: round(each.median, 3) for name, each in self.ratios.items()}
        rates = {name: round(self.rates.median(name)) for name in self.rates.of}
        return {
            **ratios,
            **{name: round(each, 3) for name, each in self.figures.items()},
            "recognizer_words_per_second": rates["recognizer"],
            "words_per_second": rates,
            "turns": {name: len(each) for name, each in self.rates.of.items()},
            "spread": {
                name: [round(each.low, 3), round(each.high, 3)]
                for name, each in self.ratios.items()
            },
            "stages": {name: round(share, 3) for name, share in self.stages.items()},
            "growth": self.growth,
            "peers": self.peers,
            "expected": self.expected,
            **self.about,
        }
