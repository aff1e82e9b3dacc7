"""Many files as one run: killed in the middle of them, damaged, named twice, read from a pipe."""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from program import Program, StoreContent, content, ledger, reference, run, until

from daskingest.pipeline.run import Run
from daskingest.pipeline.summary import Outcome, Summary
from daskingest.progress import Progress
from daskingest.settings import Settings

SMALL = ["--workers", "2", "--batch-bytes", "3000", "--flush-interval", "0.3"]


@pytest.fixture(scope="session")
def expected() -> StoreContent:
    return reference(Path(__file__).parent.parent / "daskingest" / "sample.csv")


def parts_of(sample: Path, count: int) -> list[bytes]:
    """The sample as so many files; each has all of its articles, and is another file."""
    header, rows = sample.read_bytes().split(b"\n", 1)
    return [header + b"\n" + b"%d" % i + rows for i in range(count)]


def times(expected: StoreContent, count: int) -> StoreContent:
    articles, counts = expected
    return {key: count * n for key, n in articles.items()}, Counter(
        {key: count * n for key, n in counts.items()}
    )


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_killed_in_the_middle_of_one_of_them(
    kind: str, sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    count, store = 8, tmp_path / "daskingest.db"
    files = {f"{i}.csv": data for i, data in enumerate(parts_of(sample, count))}
    if kind == "zip":
        place = zipped(tmp_path / "a.zip", files)
    else:
        place = tmp_path / "a"
        place.mkdir()
        for name, data in files.items():
            (place / name).write_bytes(data)
    # A file has some 40 batches: of the third, of the fifth, and then of a later one.
    for entries in (count + 90, count + 170, count + 220):
        program = Program(tmp_path, "run-csv", str(place), *SMALL)
        until(lambda: ledger(store) > entries or program.process.poll() is not None)
        program.kill_with_family()
    code, output = run(tmp_path, "run-csv", str(place), *SMALL)
    assert code == 0, output
    assert content(store) == times(expected, count)
    assert "8 files: 8 counted" in output
    assert "512 = 512 articles + 0 rejects (all rows accounted for)" in output
    code, output = run(tmp_path, "run-csv", str(place))
    assert code == 0, output
    assert "8 files: 8 counted already" in output
    assert "starting the cluster" not in output
    assert content(store) == times(expected, count)


def test_one_that_is_damaged_keeps_no_other_from_being_counted(
    sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    first, second, third = parts_of(sample, 3)
    folder = tmp_path / "a"
    folder.mkdir()
    packed = gzip.compress(third)
    header = sample.read_bytes().split(b"\n", 1)[0]
    for name, data in {
        "1.csv": first,
        "2.csv.gz": gzip.compress(second),
        "3.csv.gz": packed[:-4],  # all rows are there, but not its checksum
        "4.csv": first,
        "5.csv": header + b"\n",
        "6.csv": b"title,body\na,b\n",
        "README.md": b"# Articles\n",
    }.items():
        (folder / name).write_bytes(data)
    code, output = run(tmp_path, "run-csv", "a", "a/1.csv", *SMALL)
    assert code == 1, output
    assert "left out: a/6.csv: no column for the content" in output.split("starting the cluster")[0]
    assert "a: passed over what holds no articles (1): a/README.md" in output
    assert "a/4.csv is a copy of a/1.csv: left out" in output
    assert "a/1.csv is named twice, the other time a/1.csv: taken once" in output
    assert (
        "3.csv.gz: its gzip data is cut off; it is incomplete or damaged: fetch it again" in output
    )
    assert "Traceback" not in output
    assert "5 files: 2 counted, 2 not counted, 1 empty" in output
    (folder / "3.csv.gz").write_bytes(packed)
    (folder / "6.csv").unlink()
    code, output = run(tmp_path, "run-csv", "a", *SMALL)
    assert code == 0, output
    assert content(tmp_path / "daskingest.db") == times(expected, 3)


@pytest.mark.slow
def test_standard_input_can_be_resumed(
    sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    state, store = tmp_path / "state", tmp_path / "daskingest.db"
    spool = state / "daskingest" / "spool"
    environment = {**os.environ, "XDG_STATE_HOME": str(state)}
    data = zipped(tmp_path / "a.zip", {"a.csv": sample.read_bytes()}).read_bytes()

    def piped(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "daskingest", "run-csv", "-", *SMALL, *arguments],
            cwd=tmp_path,
            env=environment,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    code, output = piped("--limit", "10")
    assert code == 0, output
    assert sum(content(store)[0].values()) == 10
    assert list(spool.iterdir()) == []
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    program = Program(
        tmp_path, "run-csv", str(fifo), *SMALL[:4], "--flush-interval", "0.05", **environment
    )
    fifo.write_bytes(data)
    before = ledger(store)
    until(lambda: ledger(store) > before + 2 or program.process.poll() is not None)
    program.family()
    program.process.kill()
    program.process.wait()
    program.wait_for_the_family_s_end()
    kept = list(spool.iterdir())  # unless it was quicker
    code, output = run(tmp_path, "run-csv", *map(str, kept), *SMALL) if kept else (0, "")
    assert code == 0, output
    assert content(store) == expected
    code, output = piped()
    assert code == 0, output
    assert "a.csv::standard input: counted already" in output
    assert content(store) == expected


def settings(tmp_path: Path, **more: object) -> Settings:
    return Settings(
        store=f"sqlite:///{tmp_path / 'daskingest.db'}",
        rejects=str(tmp_path / "rejects.jsonl"),
        workers=1,
        batch_bytes=3000,
        **more,  # type: ignore[arg-type]
    )


def counted(tmp_path: Path, *files: Path) -> dict[str, Summary]:
    found = asyncio.run(Run([str(each) for each in files], settings(tmp_path), Progress())())
    return {Path(each.file).name: each for each in found}


def test_a_file_that_another_one_begins_with(
    sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    """They are one file, before and after it grew; it is counted once."""
    whole = sample.read_bytes()
    cut = whole.index(b"\n", 60_000) + 1
    while whole[:cut].count(b'"') % 2:  # within a field
        cut = whole.index(b"\n", cut) + 1
    short, long, other = (tmp_path / f"{name}.csv" for name in ("short", "long", "other"))
    short.write_bytes(whole[:cut])
    assert [each.outcome for each in counted(tmp_path, short).values()] == [Outcome.COUNTED]
    long.write_bytes(whole)
    other.write_bytes(whole[:cut] + b"1,,,,,,,,Nothing here.,,,The Post\n")
    found = counted(tmp_path, short, long, other)
    assert found["long.csv"].outcome is Outcome.COUNTED
    assert "run the same command again" in found["other.csv"].error
    assert "short.csv" not in found
    assert content(tmp_path / "daskingest.db") == expected
