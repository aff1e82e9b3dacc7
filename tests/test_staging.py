"""Files for Firestore: counted into a store of this machine first, then published."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from emulated import content
from program import Program, ledger, run, until

from daskingest.errors import StoreError
from daskingest.ledger import BatchId, Staged
from daskingest.pipeline.repeating import repeating
from daskingest.stores import open_store

SMALL = ["--workers", "1", "--batch-bytes", "3000", "--flush-interval", "0.3"]
StoreContent = tuple[dict[str, int], dict[tuple[str, str, str], int]]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> StoreContent:
    """What the sample counts to."""
    folder = tmp_path_factory.mktemp("expected")
    file = Path(__file__).parent.parent / "daskingest" / "sample.csv"
    assert run(folder, "run-csv", str(file), "--workers", "1")[0] == 0
    return content(f"sqlite:///{folder}/daskingest.db")


def staging(folder: Path) -> Path:
    """The one staging store of a machine whose folder of states this is."""
    [path] = (folder / "daskingest" / "staging").glob("*.db")
    return path


def writes_in(output: str) -> int:
    """How many were made, as the program says."""
    [found] = re.findall(r"commits, ([\d,]+) writes", output)
    return int(found.replace(",", ""))


@pytest.mark.slow
def test_each_word_is_written_once_and_other_machines_know_it(
    sample: Path, tmp_path: Path, firestore_url: str, expected: StoreContent
) -> None:
    command = ["run-csv", str(sample), *SMALL, "--store", firestore_url]
    one, two = {"XDG_STATE_HOME": str(tmp_path / "1")}, {"XDG_STATE_HOME": str(tmp_path / "2")}
    code, output = run(tmp_path, *command, **one)
    assert code == 0, output
    assert content(firestore_url) == expected
    articles, words = expected
    floor = len({(key, word) for key, word, _ in words})
    assert f"{floor:,} words and {len(articles)} publications" in output
    assert writes_in(output) <= floor + len(articles) + 10
    assert "that takes about" in output
    assert f"{firestore_url}: published" in output
    for machine in (one, two):
        code, output = run(tmp_path, *command, **machine)
        assert code == 0, output
        assert "counted already" in output
        assert "starting the cluster" not in output
        assert "published" not in output
    assert content(firestore_url) == expected
    # What is new is counted on another machine, too.
    grown = tmp_path / "articles.csv"
    grown.write_bytes(sample.read_bytes())
    assert run(tmp_path, "run-csv", str(grown), *command[2:], **two)[0] == 0
    with grown.open("ab") as file:
        file.write(b"1,,,,,,,,Nothing here.,,,The Post\n")
    code, output = run(tmp_path, "run-csv", str(grown), *command[2:], **two)
    assert code == 0, output
    assert "has grown" in output
    assert content(firestore_url) == ({**articles, "the post": 1}, words)


@pytest.mark.slow
def test_what_is_begun_on_one_machine_goes_on_there(
    sample: Path, tmp_path: Path, firestore_url: str, expected: StoreContent
) -> None:
    header, rows = sample.read_bytes().split(b"\n", 1)
    file = tmp_path / "articles.csv"
    file.write_bytes(header + b"\n" + 10 * rows)
    command = ["run-csv", str(file), *SMALL, "--store", firestore_url]
    here = {"XDG_STATE_HOME": str(tmp_path / "1")}
    program = Program(tmp_path, *command, **here)
    until(lambda: "counting " in program.output and ledger(staging(tmp_path / "1")) > 3)
    program.interrupt()
    assert program.wait() == 130, program.output
    assert "not published yet; that is done when all is counted" in program.output
    assert content(firestore_url) == ({}, {})
    with open_store(firestore_url) as store:
        [run_id] = store.begun()
        entry = store.ledger(run_id)[BatchId.staged(run_id)]
        assert isinstance(entry, Staged)
        assert (entry.host, entry.path) == (socket.gethostname(), str(staging(tmp_path / "1")))
    code, output = run(tmp_path, *command, XDG_STATE_HOME=str(tmp_path / "2"))
    assert code == 2, output
    assert f"by way of {entry.path} on {entry.host}" in output
    assert "Traceback" not in output
    program = Program(tmp_path, *command, **here)
    until(lambda: "publishing to" in program.output)
    program.family()
    program.process.kill()
    program.process.wait()
    code, output = run(tmp_path, *command, **here)
    assert code == 0, output
    assert content(firestore_url) == tuple(
        {key: 10 * count for key, count in each.items()} for each in expected
    )


@pytest.mark.slow
def test_several_files_and_a_limit_are_published_once(
    tmp_path: Path, firestore_url: str, write_csv: Callable[..., str]
) -> None:
    texts = [("P", f"Angela Merkel met Barack Obama in Berlin, take {i}.") for i in range(30)]
    files = [write_csv(texts[:15], "a.csv"), write_csv(texts[15:], "b.csv")]
    options = ["--store", firestore_url, "--workers", "1", "--staging", "here/staging.db"]
    code, output = run(tmp_path, "run-csv", *files, *options, "--limit", "10")
    assert code == 0, output
    assert content(firestore_url)[0] == {"p": 20}
    assert output.count(f"{firestore_url}: published") == 1
    assert (tmp_path / "here" / "staging.db").exists()
    code, output = run(tmp_path, "run-csv", *files, *options)
    assert code == 0, output
    assert content(firestore_url)[0] == {"p": 30}
    with open_store(firestore_url) as store:
        assert len(store.finished()) == 2


@pytest.mark.slow
def test_counts_show_while_a_file_is_counted(
    sample: Path, tmp_path: Path, firestore_url: str
) -> None:
    header, rows = sample.read_bytes().split(b"\n", 1)
    file = tmp_path / "articles.csv"
    file.write_bytes(header + b"\n" + 40 * rows)
    options = ["--store", firestore_url, "--publish-every", "1", *SMALL]
    program = Program(tmp_path, "run-csv", str(file), *options, XDG_STATE_HOME=str(tmp_path))

    def is_seen() -> bool:
        with open_store(firestore_url) as store:
            return bool(store.publications())

    until(is_seen)
    assert program.process.poll() is None, program.output
    assert program.wait() == 0, program.output
    assert content(firestore_url) == content(f"sqlite:///{staging(tmp_path)}")
    assert sum(content(firestore_url)[0].values()) == 40 * 64


def repeats(seconds: float | None, work: Callable[[], Awaitable[None]], until: int) -> None:
    done = 0

    async def count() -> None:
        nonlocal done
        done += 1
        await work()

    async def go() -> None:
        async with repeating(seconds, count):
            while done < until:
                await asyncio.sleep(0)

    asyncio.run(go())
    assert done >= until


def test_what_is_done_now_and_then_is_done_again_when_it_failed() -> None:
    async def fail() -> None:
        raise StoreError("not now")

    async def work() -> None:
        pass

    repeats(0.001, work, 3)
    repeats(0.001, fail, 3)
    repeats(None, work, 0)
