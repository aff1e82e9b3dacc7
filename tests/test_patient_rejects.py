"""Rejects that cannot be written for a while: with a real file that cannot be made."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from daskingest.ledger import BatchId
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.patient_rejects import PatientRejects
from daskingest.pipeline.rejects import RejectsFile
from daskingest.sources.csvfile import open_csv
from daskingest.tally import Tally

TALLY = Tally(2, 1, rejected=Counter({"no content": 1}))


@pytest.fixture
def batch(write_csv: Callable[..., str]) -> Batch:
    [part] = open_csv(write_csv([("P", "good"), ("P", "")])).ranges()
    return Batch(BatchId("r", "1"), part)


def test_what_cannot_be_written_is_waited_for(tmp_path: Path, batch: Batch) -> None:
    path = tmp_path / "rejects.jsonl"
    rejects = PatientRejects(RejectsFile(str(path)), retry_seconds=0)
    path.mkdir()

    async def go() -> None:
        adding = asyncio.create_task(rejects.add("a.csv", "r", batch, TALLY, None))
        while not rejects.trouble:
            await asyncio.sleep(0)
        assert rejects.trouble.startswith("cannot write rejects to")
        path.rmdir()
        await adding

    asyncio.run(go())
    assert rejects.trouble == ""
    assert rejects.given_up == 0
    assert len(path.read_text().splitlines()) == 1


def test_what_cannot_be_written_is_given_up_when_told_to_stop(tmp_path: Path, batch: Batch) -> None:
    path = tmp_path / "rejects.jsonl"
    rejects = PatientRejects(RejectsFile(str(path)))
    path.mkdir()

    async def go() -> None:
        adding = asyncio.create_task(rejects.add("a.csv", "r", batch, TALLY, None))
        while not rejects.trouble:
            await asyncio.sleep(0)
        rejects.stop()
        await adding
        await rejects.add("a.csv", "r", batch, TALLY, None)

    asyncio.run(go())
    assert rejects.given_up == 2
    path.rmdir()
    later = PatientRejects(RejectsFile(str(path)))
    asyncio.run(later.add("a.csv", "r", batch, TALLY, None))
    assert len(path.read_text().splitlines()) == 1
