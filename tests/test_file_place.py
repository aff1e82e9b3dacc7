"""Whether workers see the files that the driver means."""

from __future__ import annotations

from pathlib import Path

from daskingest.pipeline.file_place import differing, first_that_differs, see
from daskingest.sources.origin import Origin


def origin(path: Path) -> Origin:
    return Origin(str(path), path.stat().st_size)


def test_the_same_file_and_one_that_grew(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"one" * 100)
    seen = see([origin(path)])
    assert first_that_differs(seen) == ""
    path.write_bytes(b"one" * 101)
    assert first_that_differs(seen) == ""


def test_what_differs_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"one" * 100)
    seen = see([origin(path)])
    path.write_bytes(b"two" * 100)
    assert first_that_differs(seen) == f"{path} has other content there"
    path.write_bytes(b"one")
    assert first_that_differs(seen) == f"{path} has 3 bytes there, and 300 here"
    path.unlink()
    assert first_that_differs(seen) == f"{path}: No such file or directory"


def test_of_many_files_some_are_sampled_and_all_must_be_there(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n:02}.csv" for n in range(64)]
    for each in paths:
        each.write_text(each.name)
    seen = see([origin(each) for each in paths])
    assert sum(bool(each.fingerprint) for each in seen) == 16
    paths[33].unlink()
    assert "33.csv: No such file" in first_that_differs(seen)


def test_workers_that_say_the_same_are_one_line() -> None:
    answers: dict[str, object] = {f"tcp://10.0.0.{n}:1": "x is not there" for n in range(1, 6)}
    answers |= {"tcp://10.0.0.7:1": "", "tcp://10.0.0.8:1": OSError("it is gone")}
    answers["tcp://10.0.0.9:1"] = ValueError("what")
    assert differing(answers) == [
        "tcp://10.0.0.1:1, tcp://10.0.0.2:1, tcp://10.0.0.3:1 and 2 more: x is not there",
        "tcp://10.0.0.9:1: what",
    ]
