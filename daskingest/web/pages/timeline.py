"""How a page shows time: which months, and how many of them together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from daskingest.months import month_text
from daskingest.stores import Months
from daskingest.stores.periods import Period
from daskingest.web.call import Call
from daskingest.web.pictures.steps import STEPS, name_of, step_for
from daskingest.web.problems import Problem


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a query asks for. `by` names a step; empty: one is chosen that suits the months."""

    period: Period
    by: str
    log: bool

    @property
    def since(self) -> str:
        """The first month, as it is written; empty: there is none."""
        return "" if self.period.first is None else month_text(self.period.first)

    @property
    def until(self) -> str:
        """The last month."""
        return "" if self.period.last is None else month_text(self.period.last)

    @property
    def query(self) -> dict[str, str]:
        """What a link to the same has in its query."""
        log = "1" if self.log else ""
        return {"since": self.since, "until": self.until, "by": self.by, "log": log}

    @property
    def steps(self) -> list[str]:
        """What can be asked for."""
        return [*STEPS]

    def step(self, months: Collection[int]) -> int:
        """How many of these months are shown together."""
        return STEPS[self.by] if self.by else step_for(months)

    def step_name(self, months: Collection[int]) -> str:
        """What that is called."""
        return name_of(self.step(months))

    def moved(self, months: Months) -> list[tuple[str, dict[str, str]]]:
        """The times before and after a period that is as long, as far as there are months.

        Each is a name for a link, and its query.
        """
        first, last = self.period.first, self.period.last
        if not months or first is None or last is None:
            return []
        long = last - first + 1
        found = []
        for name, by in (("earlier", -long), ("later", long)):
            if first + by <= max(months) and last + by >= min(months):
                period = Period(first + by, last + by)
                found.append((name, Timeline(period, self.by, self.log).query))
        return found


def timeline_of(call: Call) -> Timeline:
    """What a request asks for. Raises Problem if it is not valid."""
    by = call.text("by", 20)
    if by and by not in STEPS:
        expected = ", ".join(STEPS)
        raise Problem(422, f"by: expected one of {expected}, found {by!r}", "wrong parameter")
    return Timeline(call.period(), by, call.text("log", 9) == "1")
