"""An upload's state is found from wherever it is gone on with; without one nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from daskingest.errors import UsageError
from daskingest.settings import UploadSettings
from daskingest.sources.csvfile import open_csv
from daskingest.upload import state_path
from daskingest.upload.state import UploadState

WriteCsv = Callable[..., str]
RESUME = UploadSettings(resume=True)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two folders of an upload's user, who has no notes yet; the first is the current one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.chdir(first)
    return first, second


def begun(path: str, **options: str) -> UploadState:
    state = UploadState.open(open_csv(path), path, UploadSettings(**options))  # type: ignore[arg-type]
    state.save(state.text(1.0))
    state.note()
    return state


def resumed(path: str, settings: UploadSettings = RESUME) -> UploadState:
    return UploadState.open(open_csv(path), path, settings)


def test_without_a_state_resume_refuses_and_says_where_it_looked(
    folders: tuple[Path, Path], write_csv: WriteCsv
) -> None:
    path = write_csv([("p", "text")])
    with pytest.raises(UsageError) as refused:
        resumed(path)
    said = str(refused.value)
    assert str(folders[0] / "articles.csv.upload.json") in said
    assert path + ".upload.json" in said
    assert "--state" in said
    with pytest.raises(UsageError, match="elsewhere, is not there"):
        resumed(path, UploadSettings(resume=True, state="elsewhere"))


def test_it_is_found_beside_the_file(
    folders: tuple[Path, Path], write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv([("p", "text")])
    monkeypatch.chdir(Path(path).parent)
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")  # nothing can be noted there
    first = begun(path)
    monkeypatch.chdir(folders[1])
    assert resumed(path).run == first.run


def test_it_is_found_from_another_folder(
    folders: tuple[Path, Path], write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv([("p", "text")])
    first = begun(path)
    monkeypatch.chdir(folders[1])
    again = resumed(path)
    assert (again.run, again.path) == (first.run, folders[0] / "articles.csv.upload.json")
    again.save(again.text(None))
    assert [*folders[1].iterdir()] == []
    with pytest.raises(UsageError, match="to http://other: no"):
        resumed(path, UploadSettings(resume=True, url="http://other"))
    Path(write_csv([("p", "other text")]))
    with pytest.raises(UsageError, match="found no file"):
        resumed(path)


def test_another_file_s_state_does_not_hide_it(
    folders: tuple[Path, Path], write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv([("p", "text")])
    first = begun(path)
    monkeypatch.chdir(folders[1])
    begun(write_csv([("p", "another")], name="other.csv"), state="articles.csv.upload.json")
    assert resumed(path).run == first.run


def test_one_in_the_current_folder_comes_first(
    folders: tuple[Path, Path], write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv([("p", "text")])
    begun(path)
    monkeypatch.chdir(folders[1])
    second = begun(path)
    monkeypatch.chdir(folders[0])
    first = resumed(path)
    assert first.run != second.run
    assert first.path == state_path.default_path(path)
