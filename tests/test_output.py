"""What commands print, and where."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from daskingest.cli.output import command_name, harmless, note, print_json, print_lines


def test_results_and_notes_go_different_ways(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "é [bold]"})
    note("[red]é[/red] " + "long " * 50)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"name": "é [bold]"}
    assert "é" in captured.out
    assert captured.err == "[red]é[/red] " + "long " * 50 + "\n"


def test_lines_are_as_long_as_they_are() -> None:
    out = io.StringIO()
    print_lines(Console(file=out, width=10), "a line of [bold]text\nand another")
    assert out.getvalue() == "a line of [bold]text\nand another\n"


def test_text_from_articles_does_no_harm() -> None:
    assert harmless("[red]a\x1b[2J\u202eb").plain == "[red]a\ufffd[2J\ufffdb"


@pytest.mark.parametrize(
    ("called", "found"),
    [
        ("/x/daskingest/__main__.py", "python -m daskingest"),
        ("/nowhere/bin/daskingest", "/nowhere/bin/daskingest"),
    ],
)
def test_what_to_type_for_this_program(
    monkeypatch: pytest.MonkeyPatch, called: str, found: str
) -> None:
    monkeypatch.setattr("sys.argv", [called])
    monkeypatch.setenv("PATH", "/nowhere")
    assert command_name() == found
