"""`doctor`: the findings, one per line."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.options import AsJson
from daskingest.cli.output import print_json
from daskingest.doctor.finding import Finding, Verdict
from daskingest.settings import DoctorSettings

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "red"}


def doctor(
    settings: DoctorSettings,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE...]", help="Look at these files instead, as `run` would."),
    ] = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Check all that daskingest needs, and say what is wrong.

    It says what to do about it, too. Give it the options that you plan to give to `run` or `serve`.
    It changes nothing. Of files it says what they are: format, encoding, columns, rows, and the
    first rejects.

    Exit codes: 0 no problem, perhaps warnings; 1 a problem.
    """
    warnings.simplefilter("ignore")  # of libraries, about themselves
    if files:
        from daskingest.doctor.looking import look_at

        found = look_at(files, settings)
    else:  # which imports nothing that may be broken
        from daskingest.doctor.examination import examine

        found = examine(settings)
    verdicts = _print_json(found) if as_json else _print_lines(found)
    return ExitCode.FAILED if verdicts[Verdict.PROBLEM] else ExitCode.DONE


def _print_lines(found: Iterable[Finding]) -> Counter[Verdict]:
    """Print each finding as soon as it is made, as some take seconds."""
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
    print_json(answer)
    return verdicts
