"""Commands with output of every kind: no traceback, no lost result."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.stores import open_store

NAME = "Zürich 東京 😀 Tageszeitung und Anzeiger für alle Tage der Woche"
WORD = "münchner straße"
HERE = os.fsdecode(b"caf\xe9")  # a name that isn't UTF-8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, and with a CSV file and a store whose names are not UTF-8."""
    folder = tmp_path_factory.mktemp("streams")
    counts = Counts()
    counts.add_article(NAME, [(WORD, "LOC"), ("plain", "ORG")])
    for name in ("daskingest.db", f"{HERE}.db"):
        with open_store(f"sqlite:///{folder}/{name}", create=True) as store:
            store.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    text = f"text,source\nAngela Merkel was in Berlin.,{NAME}\n,nobody\n"
    (folder / f"{HERE}.csv").write_text(text, encoding="utf-8")
    return folder


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LC_", "LANG", "PYTHONIO", "PYTHONUTF8", "COLUMNS"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "daskingest", *arguments],
        cwd=folder,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def output(folder: Path, *arguments: str, **environment: str) -> str:
    process = start(folder, *arguments, **environment)
    out, messages = process.communicate()
    assert process.returncode == int(environment.get("CODE", "0")), messages
    assert b"Traceback" not in messages, messages
    return out.decode(environment.get("SHOWN", "utf-8"))


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "POSIX": {"LC_ALL": "POSIX"},
    "POSIX without UTF-8": {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "narrow": {
        "PYTHONIOENCODING": "latin-1",
        "SHOWN": "latin-1",
        "COLUMNS": "20",
        "NO_COLOR": "1",
    },
}

EVERY_DAY = ("POSIX without UTF-8", "narrow")
"""Those that the others have something of."""


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def shows(out: str, text: str) -> bool:
    """Whether it has the text, or each character that cannot be shown as an escape."""
    escaped = (re.escape(c) + "|" + re.escape(ascii(c)[1:-1]) for c in _squeezed(text))
    return re.search("".join(f"(?:{each})" for each in escaped), _squeezed(out)) is not None


def _tables(folder: Path, environment: dict[str, str]) -> None:
    listed = output(folder, "publications", **environment)
    assert shows(listed, NAME)
    assert shows(output(folder, "top", NAME, **environment), WORD)


def _json(folder: Path, environment: dict[str, str]) -> None:
    [publication] = json.loads(output(folder, "publications", "--json", **environment))
    assert publication["name"] == NAME
    words = json.loads(output(folder, "top", NAME, "--json", **environment))
    assert {each["word"] for each in words} == {WORD, "plain"}


def _exports(folder: Path, environment: dict[str, str]) -> None:
    out = output(folder, "export", "-", **{**environment, "SHOWN": "utf-8"})
    assert [NAME, WORD, "LOC", "1", WORD] in list(csv.reader(io.StringIO(out)))
    output(folder, "export", f"{HERE}.parquet", **environment)
    assert (folder / f"{HERE}.parquet").is_file()


def _mistakes(folder: Path, environment: dict[str, str]) -> None:
    output(folder, "top", f"{NAME}?", **{**environment, "CODE": "2"})
    output(
        folder,
        "publications",
        "--store",
        f"sqlite:///{HERE}-none.db",
        **{**environment, "CODE": "1"},
    )
    output(folder, "run-csv", f"{HERE}-none.csv", **{**environment, "CODE": "2"})


def _helps(folder: Path, environment: dict[str, str]) -> None:
    assert "Usage" in output(folder, "run-csv", "--help", **environment)


def _other_names(folder: Path, environment: dict[str, str]) -> None:
    store = f"sqlite:///{HERE}.db"
    assert shows(output(folder, "publications", "--store", store, **environment), NAME)
    publish = ("publish", "--from", store, "--to", "sqlite:///daskingest.db", "--dry-run")
    assert "2 words" in output(folder, *publish, **environment)
    (folder / f"{HERE}-sample.csv").unlink(missing_ok=True)
    output(folder, "sample", f"{HERE}-sample.csv", "--articles", "1", **environment)


@pytest.mark.parametrize(
    "environment",
    [
        each if each in EVERY_DAY else pytest.param(each, marks=pytest.mark.slow)
        for each in ENVIRONMENTS
    ],
)
@pytest.mark.parametrize("work", [_tables, _json, _exports, _mistakes, _helps, _other_names])
def test_any_environment_will_do(
    folder: Path, work: Callable[[Path, dict[str, str]], None], environment: str
) -> None:
    work(folder, ENVIRONMENTS[environment])


def test_long_names_are_whole_in_a_pipe(folder: Path) -> None:
    assert NAME in output(folder, "publications", LANG="C.UTF-8", COLUMNS="40")


def test_a_file_of_any_name_is_counted_and_its_rejects_are_named(folder: Path) -> None:
    environment = {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1", "COLUMNS": "30"}
    arguments = (f"{HERE}.csv", "--workers", "1", "--store", f"sqlite:///{HERE}-run.db")
    log = ("--log-file", f"{HERE}.log", "--log-format", "json", "--log-level", "debug")
    rejects = f"{HERE}.jsonl"
    out = output(folder, "run-csv", *arguments, *log, "--rejects", rejects, **environment)
    assert "1 articles + 1 rejects" in out
    assert r"caf\udce9.csv" in out
    [reject] = map(json.loads, (folder / rejects).read_text().splitlines())
    assert reject["file"] == f"{HERE}.csv"
    for line in (folder / f"{HERE}.log").read_text(encoding="utf-8").splitlines():
        json.loads(line)
    again = output(folder, "run-csv", *arguments, **environment)
    assert "already" in again
    names = output(folder, "publications", "--json", "--store", f"sqlite:///{HERE}-run.db")
    assert [each["name"] for each in json.loads(names)] == [NAME]


READERS = [
    ("publications",),
    ("publications", "--json"),
    ("top", NAME),
    ("export", "-"),
    ("--help",),
    ("publish", "--from", f"sqlite:///{HERE}.db", "--to", "sqlite:///daskingest.db", "--dry-run"),
]


@pytest.mark.parametrize("arguments", READERS, ids=lambda words: " ".join(words[:2]))
def test_a_closed_pipe_is_no_mistake(folder: Path, arguments: tuple[str, ...]) -> None:
    process = start(folder, *arguments, LANG="C.UTF-8")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    process.stdout = None
    _, messages = process.communicate()
    assert (process.returncode, messages) == (0, b"")


@pytest.mark.parametrize("arguments", READERS, ids=lambda words: " ".join(words[:2]))
def test_a_full_disk_is_one_line(folder: Path, arguments: tuple[str, ...]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "daskingest", *arguments],
            check=False,
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ended.returncode in (1, 2)
    [line] = ended.stderr.splitlines()
    assert line.startswith("error: cannot write")
    assert "No space left" in line


def test_a_run_goes_on_when_nobody_reads_what_it_says(folder: Path) -> None:
    process = start(folder, "run-csv", f"{HERE}.csv", "--store", "sqlite:///quiet.db")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait() == 0
    names = output(folder, "publications", "--json", "--store", "sqlite:///quiet.db")
    assert json.loads(names)[0]["count"] == 1


def test_streams_may_be_closed_from_the_start(folder: Path) -> None:
    command = f"{sys.executable} -m daskingest export closed.csv <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=folder, check=False).returncode == 0
    assert NAME in (folder / "closed.csv").read_text(encoding="utf-8")


def test_a_narrow_terminal_of_another_time(folder: Path) -> None:
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as shown:
        process = subprocess.Popen(
            [sys.executable, "-m", "daskingest", "publications"],
            cwd=folder,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "24", "TERM": "vt100"},
            stdin=end,
            stdout=end,
            stderr=end,
        )
        assert process.wait() == 0
        os.close(end)
        out = b""
        try:
            while piece := shown.read(4096):
                out += piece
        except OSError:  # the terminal is gone
            pass
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.decode("ascii"))
    folded = [line.split()[0] for line in plain.splitlines() if line.strip()]
    assert ascii("Zürich")[1:4] in folded[1]
    assert "1" in plain.split()
    assert shows("".join(folded), "Woche") or shows(plain, "Woche")


def test_values_from_the_environment_may_end_in_white_space(folder: Path) -> None:
    out = output(folder, "publications", "--json", DASKINGEST_STORE="sqlite:///daskingest.db \r\n")
    assert json.loads(out)[0]["name"] == NAME
