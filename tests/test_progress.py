"""Progress: silent unless somebody looks, a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from daskingest.progress import Display, Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines_of(out: io.StringIO) -> list[str]:
    return out.getvalue().splitlines()


def never(seconds: float) -> str:
    raise AssertionError("nobody needs this text")


def test_nobody_looks() -> None:
    progress = Progress()
    progress.say("something")
    progress.warn("something")
    progress.start(None, "something", "")
    progress.show(1, never)


def test_lines_where_there_is_no_terminal() -> None:
    out, clock = io.StringIO(), Clock()
    with Display(Console(file=out, width=20), enabled=True, clock=clock) as display:
        clock.now = 100.0
        display.start(10, "counting [red]", "waiting")
        for clock.now in (101.0, 104.9, 105.0, 106.0, 110.0):
            display.show(5, lambda seconds: f"after {seconds:g} s, however long the line may be")
    assert lines_of(out) == [
        "counting [red]",
        "after 5 s, however long the line may be",
        "after 10 s, however long the line may be",
    ]


def test_a_trouble_is_said_once() -> None:
    out = io.StringIO()
    with Display(Console(file=out), enabled=True, clock=Clock()) as display:
        for trouble in ("", "no store", "no store", "no workers", "", "no store"):
            display.show(0, lambda seconds: "status", trouble)
    assert lines_of(out) == ["waiting: no store", "waiting: no workers", "waiting: no store"]


def test_a_bar_on_a_terminal_goes_away() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with Display(console, enabled=True, clock=Clock()) as display:
        display.start(10, "counting", "waiting")
        display.show(5, lambda seconds: f"half of it after {seconds:g} s")
    text = out.getvalue()
    assert "counting\n" in text
    assert "half of it after 0 s" in text
    assert text.endswith("\x1b[2K")  # the bar's line is wiped


def test_one_that_is_not_enabled_shows_what_must_be_known_alone() -> None:
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=True)
    with Display(console, enabled=False, clock=clock) as display:
        display.say("something")
        display.start(1, "counting", "waiting")
        clock.now = 60.0
        display.show(1, lambda seconds: "done")
        assert out.getvalue() == ""
        display.warn("it has grown")
        display.show(1, lambda seconds: "done", "no space left")
    assert lines_of(out) == ["it has grown", "waiting: no space left"]
