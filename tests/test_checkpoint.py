"""What an upload saves: all that is done, nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daskingest.articles import Reject
from daskingest.pipeline.rejects import RejectsFile, RejectsUnwritten
from daskingest.settings import UploadSettings
from daskingest.sources.csvfile import open_csv
from daskingest.upload.checkpoint import Checkpoint
from daskingest.upload.parcels import Parcel, parcels
from daskingest.upload.report import UploadReport
from daskingest.upload.state import UploadState

WriteCsv = Callable[..., str]


@pytest.fixture
def path(tmp_path: Path, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return write_csv([("", "x"), *(("p", f"text {i}") for i in range(4))])


def begun(path: str, lasting: bool = True, resume: bool = False) -> tuple[Checkpoint, list[Parcel]]:
    """The checkpoint of an upload, which has begun, and its parcels."""
    settings = UploadSettings(batch=2, resume=resume)
    file = open_csv(path)
    state = UploadState.open(file, path, settings)
    report = UploadReport(path, settings.url, state.run, tally=state.tally)
    checkpoint = Checkpoint(report, state, RejectsFile(settings.rejects), lasting)
    checkpoint.begin()
    return checkpoint, list(parcels(file, settings))


def saved(path: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(Path(Path(path).name + ".upload.json").read_text())
    return value


def rejected() -> list[int]:
    lines = Path("rejects.jsonl").read_text().splitlines()
    return [json.loads(line)["row"] for line in lines]


def test_what_is_done_is_saved_with_its_rejects(path: str) -> None:
    checkpoint, [first, second] = begun(path)
    assert saved(path)["done"] == 0
    assert saved(path)["unsure"] is not None  # requests may be under way
    checkpoint.done(second, [Reject("bad", "", 4, 99)])
    asyncio.run(checkpoint.save())
    assert (saved(path)["done"], saved(path)["beyond"], rejected()) == (0, [1], [5])
    checkpoint.done(first, [])
    asyncio.run(checkpoint.save(ended=True))
    assert (saved(path)["done"], saved(path)["beyond"]) == (2, [])
    assert rejected() == [5, 1]
    assert saved(path)["unsure"] is None


def test_the_end_is_unsure_if_a_request_was_not_answered(path: str) -> None:
    checkpoint, _ = begun(path)
    checkpoint.unsure = True
    asyncio.run(checkpoint.save(ended=True))
    assert saved(path)["unsure"] is not None


def test_an_earlier_run_s_requests_are_unsure_until_one_is_answered(path: str) -> None:
    begun(path)
    earlier = {**saved(path), "unsure": 1.0}
    Path(Path(path).name + ".upload.json").write_text(json.dumps(earlier))
    checkpoint, _ = begun(path, resume=True)
    asyncio.run(checkpoint.save(ended=True))
    assert saved(path)["unsure"] == 1.0
    report = UploadReport("f", "u", "r")
    report.measured.latencies.add(0.1)
    answered = Checkpoint(report, checkpoint.state, RejectsFile("rejects.jsonl"), True)
    asyncio.run(answered.save(ended=True))
    assert saved(path)["unsure"] is None


def test_rejects_that_could_not_be_written_are_not_lost(path: str) -> None:
    checkpoint, [first, _] = begun(path)
    checkpoint.done(first, [])
    Path("rejects.jsonl").mkdir()
    with pytest.raises(RejectsUnwritten, match="cannot write rejects"):
        asyncio.run(checkpoint.save())
    assert saved(path)["done"] == 0  # they come first
    Path("rejects.jsonl").rmdir()
    asyncio.run(checkpoint.save())
    assert (saved(path)["done"], rejected()) == (1, [1])


def test_an_open_loop_keeps_no_state(path: str) -> None:
    checkpoint, [first, _] = begun(path, lasting=False)
    checkpoint.done(first, [])
    asyncio.run(checkpoint.save(ended=True))
    assert not list(Path().glob("*.upload.json"))
    assert rejected() == [1]
