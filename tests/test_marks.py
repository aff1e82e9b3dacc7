"""An upload that goes on with a file that was changed where it was sent already."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from daskingest.errors import DaskingestError
from daskingest.pipeline.identity import new_run
from daskingest.settings import UploadSettings
from daskingest.sources.csvfile import open_csv
from daskingest.upload.marks import START
from daskingest.upload.parcels import Parcel, parcels
from daskingest.upload.state import UploadState


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of several ranges, and more than samples are taken of."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "large.csv"
    text = "".join(f"The Post,Take {i}: {'words ' * 50}\n" for i in range(12_000))
    path.write_text("publication,article\n" + text)
    return path


def opened(path: Path, resume: bool = False, repeat: int = 1) -> UploadState:
    settings = UploadSettings(batch=100, resume=resume, repeat=repeat)
    return UploadState.open(open_csv(str(path)), str(path), settings)


def sent(path: Path, state: UploadState, repeat: int = 1) -> list[Parcel]:
    settings = UploadSettings(batch=100, repeat=repeat)
    return list(parcels(open_csv(str(path)), settings, state.read))


def changed_at(path: Path, place: int) -> None:
    """Change some bytes there, without changing the file's samples."""
    file, data = open_csv(str(path)), bytearray(path.read_bytes())
    before = file.origin.fingerprint()
    at = data.index(b"Take", place)
    data[at : at + 4] = b"TAKE"
    path.write_bytes(data)
    assert file.origin.fingerprint() == before


def half_sent(path: Path) -> UploadState:
    state = opened(path)
    for each in sent(path, state)[:80]:
        state.done(each)
    state.save(state.text(None))
    return state


def test_what_was_sent_is_compared_when_it_goes_on(path: Path) -> None:
    state = half_sent(path)
    assert 1 << 20 < state.read.end < path.stat().st_size * 80 / 120
    again = opened(path, resume=True)
    assert again.read == state.read
    assert len(sent(path, again)) == 120
    changed_at(path, 200_000)
    with pytest.raises(DaskingestError, match=r"has changed since the upload began, before byte"):
        sent(path, opened(path, resume=True))


def test_what_was_not_sent_may_be_another(path: Path) -> None:
    state = half_sent(path)
    changed_at(path, state.read.end + 1_200_000)
    assert len(sent(path, opened(path, resume=True))) == 120


def test_repetitions_are_of_what_was_compared(path: Path) -> None:
    state = opened(path, repeat=3)
    for each in sent(path, state, 3)[:250]:
        state.done(each)
    state.save(state.text(None))
    again = opened(path, resume=True, repeat=3)
    assert len(sent(path, again, 3)) == 360
    changed_at(path, 200_000)
    with pytest.raises(DaskingestError, match="has changed"):
        sent(path, again, 3)


def test_parcels_that_end_out_of_order_are_not_taken_for_read(path: Path) -> None:
    state = opened(path)
    first, *others = sent(path, state)
    for each in others:
        state.done(each)
    assert state.read == START
    state.done(first)
    assert state.read == others[-1].read


def test_rejects_are_known_as_those_of_run_csv(write_csv: Callable[..., str]) -> None:
    path = write_csv([("p", "text")])
    assert opened(Path(path)).file_run == new_run(open_csv(path), [])


def test_a_state_of_an_earlier_version_goes_on(path: Path) -> None:
    """It knew its rejects by samples of the file, and had no checksums."""
    state = half_sent(path)
    old = json.loads(state.path.read_text())
    del old["file_run"], old["read"]
    state.path.write_text(json.dumps(old))
    again = opened(path, resume=True)
    assert (again.file_run, again.read) == (old["fingerprint"], START)
    assert len(sent(path, again)) == 120
