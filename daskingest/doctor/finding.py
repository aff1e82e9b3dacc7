"""The findings of checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is: only a problem prevents something from working."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked, what was found, and what to do about it, if anything."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""

    @property
    def text(self) -> str:
        """The finding in one line."""
        return " ".join(f"{self.found}; {self.advice}".rstrip("; ").split())


def ok(check: str, found: str) -> Finding:
    return Finding(check, Verdict.OK, found)


def warning(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Verdict.WARNING, found, advice)


def problem(check: str, found: str, advice: str = "") -> Finding:
    return Finding(check, Verdict.PROBLEM, found, advice)
