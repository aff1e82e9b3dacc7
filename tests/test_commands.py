"""The commands in this process: what they print, users' mistakes, and the cost of `--help`."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from daskingest.cli.app import app
from daskingest.counts import Counts
from daskingest.errors import DaskingestError
from daskingest.ledger import BatchId, Counted
from daskingest.stores import open_store

ROOT = Path(__file__).parent.parent
COMMANDS = [
    *("run", "run-csv", "serve", "upload", "explore", "publications", "top", "trend"),
    *("export", "publish", "sample", "download", "prune", "worker", "scheduler", "bench", "doctor"),
]
HEAVY = {
    *("dask", "distributed", "spacy", "thinc", "pandas", "numpy", "numba", "pyarrow"),
    *("httpx", "uvicorn", "starlette", "fsspec", "google", "sqlite3"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that commands run in, with a small store."""
    counts = Counts()
    counts.add_article("The Post", [("paris", "GPE"), ("[red]x\x1b", "ORG")])
    with open_store(f"sqlite:///{tmp_path}/daskingest.db", create=True) as store:
        store.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    monkeypatch.chdir(tmp_path)
    for library in ("OMP", "OPENBLAS", "MKL"):
        monkeypatch.setenv(f"{library}_NUM_THREADS", "1")  # as `bench` does
    yield tmp_path
    for name in ("daskingest", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and the output; of an error its code and text, as the program shows them."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", **environment})
    if isinstance(result.exception, DaskingestError):
        return result.exception.exit_code, f"error: {result.exception}"
    return result.exit_code, result.output


def test_all_commands_are_here_in_order() -> None:
    code, text = run("--help")
    assert code == 0
    assert re.findall(r"^  ([a-z][a-z-]+) ", text, re.MULTILINE) == COMMANDS


def test_the_help_is_whole_in_80_columns() -> None:
    assert not re.search(r"\w\.\.\.", run("--help", COLUMNS="80")[1])
    for command in COMMANDS:
        code, text = run(command, "--help", COLUMNS="80")
        assert code == 0
        assert "…" not in text
        assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"daskingest {command}" in (ROOT / "README.md").read_text()


def test_every_option_is_documented() -> None:
    text = (ROOT / "cluster" / "CONFIGURATION.md").read_text()
    for name in COMMANDS:
        commands = get_command(app).commands  # type: ignore[attr-defined]
        for option in commands[name].params:
            if option.param_type_name == "option" and option.name != "help":
                assert f"| `{option.opts[0]}` |" in text


def loaded_by(commands: list[list[str]], folder: Path) -> set[str]:
    """The packages that a process has loaded which ran these commands there."""
    program = f"""
import sys
from typer.testing import CliRunner
from daskingest.cli.app import app
for command in {commands}:
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=folder
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_asking_for_help_imports_nothing_heavy() -> None:
    asked = [[*each, "--help"] for each in ([], *([name] for name in COMMANDS))]
    loaded = loaded_by(asked, ROOT)
    assert "typer" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    "command",
    [["publications"], ["top", "The Post"], ["trend", "paris"], ["export", "all.csv"]],
    ids=lambda command: command[0],
)
def test_reading_imports_nothing_heavy(tmp_path: Path, command: list[str]) -> None:
    assert not loaded_by([command], tmp_path) & (HEAVY - {"sqlite3"})


def test_the_shell_completes_options_and_their_values() -> None:
    def completed(words: str) -> list[str]:
        result = CliRunner().invoke(
            app,
            [],
            prog_name="daskingest",
            env={
                "_DASKINGEST_COMPLETE": "complete_bash",
                "COMP_WORDS": f"daskingest {words}",
                "COMP_CWORD": str(len(words.split())),
            },
        )
        return result.output.split()

    assert completed("upload --ra") == ["--rate"]
    assert completed("serve --log-format j") == ["json"]
    assert completed("do") == ["download", "doctor"]


MISTAKES: list[tuple[list[str], int, str]] = [
    (["publications", "--store", "sqlite:///none.db"], 1, "nothing has been counted there yet"),
    (["publications", "--store", "nope://x"], 2, "expected sqlite:///PATH"),
    (["top", "The Pots"], 2, "did you mean 'The Post'"),
    (["top", "The Post", "-n", "0"], 2, "Invalid value for '-n'"),
    (["export", "out.xlsx"], 2, ".csv or .parquet"),
    (["export", "no/folder/out.csv"], 2, "cannot write no/folder/out.csv"),
    (["publish"], 2, "Missing option '--to'"),
    (["publish", "--to", "nope://x"], 2, "expected sqlite:///PATH"),
    (["publish", "--to", "sqlite:///daskingest.db"], 2, "cannot be published to itself"),
    (["publish", "--from", "sqlite:///none.db", "--to", "sqlite:///b.db"], 1, "nothing has been"),
    (["prune", "--store", "sqlite:///none.db"], 1, "nothing has been counted there yet"),
    (["prune", "--older-than", "-1"], 2, "Invalid value for '--older-than'"),
    (["sample", "out.csv"], 2, "found neither"),
    (["sample", "out.csv", "--articles", "1", "--bytes", "1"], 2, "found both"),
    (["explore", "--store", "sqlite:///none.db"], 1, "nothing has been counted there yet"),
    (["explore", "--host", "0.0.0.0"], 2, "without a key the service listens on this machine only"),
    (["serve", "--host", "0.0.0.0"], 2, "without a key the service listens on this machine only"),
    (["serve", "--port", "65536"], 2, "Invalid value for '--port'"),
    (["download", "--url", "ftp://x"], 2, "expected an address that begins with https://"),
    (["upload", "none.csv"], 2, "no such file: none.csv"),
    (["upload", "none.csv", "--open-loop"], 2, "expected a --rate with --open-loop"),
    (["upload", "none.csv", "--open-loop", "--rate", "1", "--resume"], 2, "leave out --resume"),
    (["upload", "none.csv", "--legacy", "--batch", "2"], 2, "found --batch 2"),
    (["upload", "none.csv", "--api-key", "a,,b"], 2, "found an empty key"),
    (["run-csv"], 2, "Missing argument 'FILE...'"),
    (["run-csv", "none.csv"], 2, "no such file: none.csv"),
    (["run-csv", "none.csv", "--workers", "0"], 2, "Invalid value for '--workers'"),
    (["run-csv", "none.csv", "--log-file", "no/log"], 2, "cannot write the log no/log"),
    (["bench", "--workers", "0"], 2, "Invalid value for '--workers'"),
    (["bench", "--model", "xx_none"], 2, "no spaCy model 'xx_none'"),
    (["doctor", "--port", "-1"], 2, "Invalid value for '--port'"),
    (["nothing"], 2, "No such command 'nothing'"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES)
def test_a_mistake_is_explained(arguments: list[str], code: int, message: str) -> None:
    found, output = run(*arguments)
    assert found == code, output
    assert message in output


def test_results_are_json_if_asked_for() -> None:
    publications = [{"name": "The Post", "key": "the post", "count": 1}]
    assert json.loads(run("publications", "--json")[1]) == publications
    assert json.loads(run("publications", DASKINGEST_JSON="1")[1]) == publications
    code, output = run("top", "the  POST", "--json", "--label", "gpe")
    assert (code, json.loads(output)) == (
        0,
        [{"word": "paris", "name": "paris", "count": 1, "labels": {"GPE": 1}}],
    )


def test_tables_show_no_markup_and_no_control_characters() -> None:
    code, output = run("top", "The Post")
    assert code == 0
    assert "[red]x\N{REPLACEMENT CHARACTER}" in output
    assert ["The", "Post", "1"] in [line.split() for line in run("publications")[1].splitlines()]
    assert "has no entities with the label NORP" in run("top", "The Post", "--label", "norp")[1]


def test_what_was_done_is_said(folder: Path) -> None:
    assert run("export", "out.csv") == (0, "2 rows in out.csv\n")
    assert (folder / "out.csv").exists()
    assert run("prune") == (0, "0 entries removed\n")
    code, output = run("publish", "--to", "sqlite:///other.db", "--no-progress")
    assert (code, output.splitlines()[1]) == (0, "  counts    2 words and 1 publication")
