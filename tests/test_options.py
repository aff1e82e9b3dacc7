"""Options are made of settings: names, variables, bounds, defaults, and what comes of them."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from daskingest.cli.app import app
from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.options import with_options
from daskingest.settings import Option, ServeSettings, Settings, UploadSettings


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    size: Annotated[int, Option("How large.", min=1, max=9)] = 3
    colour: Annotated[Colour, Option("Which colour [or none].", name="--paint")] = Colour.RED
    frame: Annotated[str | None, Option("A file.", is_path=True, shown="no frame")] = None
    flat: Annotated[bool | None, Option("Whether.", name="--flat/--no-flat")] = None
    secret: tuple[str, ...] = ()


_BLUE = Picture(colour=Colour.BLUE, secret=("s",))
Asked = tuple[str, Picture, bool]


def draw(*arguments: str, **environment: str) -> tuple[int, str, Asked | None]:
    """The exit code, the output, and what a command was given."""
    asked: list[Asked] = []

    def work(
        name: Annotated[str, typer.Argument()],
        picture: Picture = _BLUE,
        quiet: Annotated[bool, Option("Say nothing.")] = False,
    ) -> ExitCode | None:
        """Draw it."""
        asked.append((name, picture, quiet))
        return ExitCode.REJECTS if quiet else None

    program = typer.Typer(rich_markup_mode=None)
    program.command()(with_options(work))
    environment = {"COLUMNS": "200", "TERMINAL_WIDTH": "200", **environment}
    result = CliRunner().invoke(program, arguments, env=environment)
    return result.exit_code, result.output, asked[0] if asked else None


def test_defaults_are_those_of_the_settings_that_the_command_names() -> None:
    assert draw("x") == (0, "", ("x", _BLUE, False))


def test_what_is_given_replaces_them() -> None:
    code, _, asked = draw("x", "--size", "9", "--paint", "RED", "--frame", "./f", "--no-flat")
    picture = Picture(size=9, colour=Colour.RED, frame="f", flat=False, secret=("s",))
    assert (code, asked) == (0, ("x", picture, False))


def test_the_environment_is_asked_too() -> None:
    environment = {"DASKINGEST_PAINT": "red", "DASKINGEST_FLAT": "1", "DASKINGEST_QUIET": "1"}
    code, _, asked = draw("x", "--paint", "blue", **environment)
    assert (code, asked) == (3, ("x", dataclasses.replace(_BLUE, flat=True), True))


@pytest.mark.parametrize(
    "wrong", [["--size", "0"], ["--size", "10"], ["--paint", "green"], ["--secret", "s"], ["y"]]
)
def test_what_is_out_of_bounds_is_wrong_usage(wrong: list[str]) -> None:
    code, _, asked = draw("x", *wrong)
    assert (code, asked) == (ExitCode.USAGE, None)


@settings(max_examples=30)
@given(size=st.integers(-2, 12) | st.integers())
def test_bounds_hold_for_all_numbers(size: int) -> None:
    code, _, asked = draw("x", f"--size={size}")
    assert (code == 0) == (asked is not None) == (1 <= size <= 9)


def test_the_help_says_it_all() -> None:
    code, text, _ = draw("--help")
    assert code == 0
    text = " ".join(text.split())
    for each in (
        *("Draw it.", "default: 3; 1<=x<=9]", "<red|blue>", "Which colour [or none]."),
        *("DASKINGEST_SIZE", "DASKINGEST_PAINT", "DASKINGEST_FRAME", "DASKINGEST_FLAT"),
        *("default: blue]", "default: (no frame)]", "<path>", "--no-flat"),
    ):
        assert each in text
    assert "secret" not in text


def test_settings_are_the_arguments_of_a_run() -> None:
    assert [each.name for each in fields(Settings)] == [
        *("content_column", "publication_column", "date_column", "dates", "encoding", "only"),
        *("store", "workers", "savers", "scheduler"),
        *("tls_ca_file", "tls_cert", "tls_key"),
        *("wait_for_scheduler", "wait_for_workers", "batch_bytes", "batch_timeout"),
        *("model", "recognizer"),
        *("limit", "rejects", "flush_interval", "staging", "publish_every", "performance_report"),
    ]


def test_no_command_has_many_parameters() -> None:
    for each in app.registered_commands:
        assert each.callback is not None
        work = inspect.unwrap(each.callback)
        assert len(work.__annotations__) - 1 <= 5, work.__name__
        assert work.__doc__


def test_an_upload_s_defaults_that_depend_on_others() -> None:
    usual, legacy = UploadSettings(), UploadSettings(legacy=True)
    assert (usual.articles_per_request, usual.compressed) == (100, True)
    assert (legacy.articles_per_request, legacy.compressed) == (1, False)
    assert UploadSettings(batch=7).articles_per_request == 7
    assert UploadSettings(batch=1, gzip=True).compressed
    assert not UploadSettings(gzip=False).compressed


def test_paths_are_kept_as_text() -> None:
    assert isinstance(ServeSettings().data_dir, str)
    _, _, asked = draw("x", "--frame", "a/b.json")
    assert asked is not None
    assert asked[1].frame == str(Path("a/b.json"))
