"""`doctor`: the findings, line by line."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

import typer
from rich.console import Console
from rich.text import Text

from daskingest.doctor.examination import examine
from daskingest.doctor.finding import Finding, Verdict
from daskingest.settings import ServeSettings

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "red"}


def examine_and_print(settings: ServeSettings, as_json: bool) -> int:
    """Print what is found. Returns the exit code: 1 if there is a problem."""
    warnings.simplefilter("ignore")  # what libraries say about themselves
    found = examine(settings)
    verdicts = _print_json(found) if as_json else _print_lines(found)
    return 1 if verdicts[Verdict.PROBLEM] else 0


def _print_lines(found: Iterable[Finding]) -> Counter[Verdict]:
    """Each finding as soon as it is made, for some take seconds."""
    console = Console()
    verdicts: Counter[Verdict] = Counter()
    for each in found:
        verdicts[each.verdict] += 1
        verdict = Text(f"{each.verdict:8} ", _COLOURS[each.verdict])
        console.print(verdict + f"{each.check:10} {each.text}", soft_wrap=True)
    problems, doubtful = verdicts[Verdict.PROBLEM], verdicts[Verdict.WARNING]
    console.print(f"{_number(problems, 'problem')}, {_number(doubtful, 'warning')}")
    return verdicts


def _number(count: int, thing: str) -> str:
    return f"{count or 'no'} {thing}{'' if count == 1 else 's'}"


def _print_json(found: Iterable[Finding]) -> Counter[Verdict]:
    findings = list(found)
    verdicts = Counter(each.verdict for each in findings)
    answer = {
        "ok": not verdicts[Verdict.PROBLEM],
        "findings": [asdict(each) for each in findings],
    }
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    return verdicts
