"""Files that a crash does not harm: what is there is whole, and there once."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskingest.files import (
    JsonLines,
    JsonLinesError,
    durable_rename,
    lock_file,
    write_atomically,
)

Entries = list[dict[str, object]]

KEY = ("file", "offset")
OLD: Entries = [
    {"file": "a", "offset": 1, "reason": "é"},
    {"file": "a", "offset": None, "reason": "\0\n"},
]
NEW: Entries = [{"file": "b", "offset": 1}, {"file": "b", "offset": 2, "more": "x" * 50}]


def lines_of(path: Path) -> Entries:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    write_atomically(path, "é")
    assert path.read_bytes() == "é".encode()
    (tmp_path / "f.json.new").write_text("of a run that was killed")
    write_atomically(path, b"\xff", mode=0o600)
    assert path.read_bytes() == b"\xff"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_atomically(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            write_atomically(path, "x" * 101)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "f", "")


def test_a_complete_file_gets_its_name(tmp_path: Path) -> None:
    part, path = tmp_path / "f.part", tmp_path / "f"
    path.write_text("old")
    part.write_text("new")
    durable_rename(part, path)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_is_one_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_file(path), pytest.raises(BlockingIOError):
        lock_file(path)
    lock_file(path).close()
    with pytest.raises(FileNotFoundError):
        lock_file(tmp_path / "none" / "lock")


def test_each_object_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    file = JsonLines(path, KEY)
    file.add([])
    assert not path.exists()
    file.add([*OLD, OLD[0]])
    file.add(OLD)
    again = JsonLines(path, KEY)
    again.add([*OLD, *NEW])
    assert path.read_text() == "".join(json.dumps(each) + "\n" for each in OLD + NEW)


def test_text_is_written_as_it_is_wanted(tmp_path: Path) -> None:
    for ensure_ascii, text in ((True, b'{"place": "\\u00e9"}\n'), (False, '{"place": "é"}\n')):
        path = tmp_path / str(ensure_ascii)
        JsonLines(path, ("place",), ensure_ascii).add([{"place": "é"}])
        assert path.read_bytes() == (text.encode() if isinstance(text, str) else text)
        JsonLines(path, ("place",), ensure_ascii).add([{"place": "é"}])
        assert len(lines_of(path)) == 1


@settings(max_examples=50)
@given(cut=st.integers(0, 300), nuls=st.integers(0, 5), later=st.booleans())
def test_what_a_crash_cut_off_is_written_again(cut: int, nuls: int, later: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "f.jsonl"
        JsonLines(path, KEY).add(OLD + NEW)
        whole = path.read_bytes()
        cut %= len(whole)
        torn = whole[:cut] + b"\0" * nuls
        if later and cut and nuls:  # pages do not reach the disk in order
            torn += whole[cut + nuls :]
        path.write_bytes(torn)
        file = JsonLines(path, KEY)
        assert path.read_bytes() == torn  # reading alone changes nothing
        file.add(OLD + NEW)
        file.add(OLD)
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [
        b"notes of mine",
        b"notes of mine\n",
        b'{"file": "x"}\n',
        b'{"offset": 1, "file": "x"}',
        b'{"file": [], "offset": 1}\n',
        b"[1]\n",
        b"\0\0\0\x20ftypisom",
        b"\xff\xfe\n",
        b'{"file": "a", "offset": 1}\nnotes',
    ],
)
def test_another_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(JsonLinesError):
        JsonLines(path, KEY)
    assert path.read_bytes() == content


def test_what_could_not_be_written_may_be_given_again(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    file = JsonLines(path, KEY)
    file.add(OLD)
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, before[1]))
    try:
        with pytest.raises(JsonLinesError, match="large"):
            file.add(NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    file.add(NEW)
    assert lines_of(path) == OLD + NEW


def test_a_file_that_was_removed_is_created_again(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    JsonLines(path, KEY).add(OLD)
    path.write_bytes(path.read_bytes()[:-1])
    file = JsonLines(path, KEY)
    path.unlink()
    path.mkdir()
    with pytest.raises(JsonLinesError, match="directory"):
        file.add(NEW)
    path.rmdir()
    file.add(NEW)
    assert lines_of(path) == NEW


def test_lines_are_added_from_any_thread(tmp_path: Path) -> None:
    file = JsonLines(tmp_path / "f.jsonl", KEY)
    for entry in (*OLD, *OLD):
        thread = threading.Thread(target=file.add, args=([entry],))
        thread.start()
        thread.join()
    assert lines_of(file.path) == OLD


_ADD = """
import sys
from pathlib import Path
from daskingest.files import JsonLines

path, start, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
file = JsonLines(path, ("file", "offset"))
for i in range(start, end):
    file.add([{"file": "a", "offset": i, "more": "x" * (i % 7) * 1000}])
"""


def test_processes_that_share_a_file_neither_tear_nor_repeat_lines(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    spans = [("0", "60"), ("30", "90"), ("0", "90")]
    command = [sys.executable, "-c", _ADD, str(path)]
    processes = [subprocess.Popen([*command, *each]) for each in spans]
    assert [each.wait() for each in processes] == [0, 0, 0]
    assert sorted(each["offset"] for each in lines_of(path)) == [*range(90)]  # type: ignore[type-var]


def test_a_line_that_another_process_was_killed_at_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    file = JsonLines(path, KEY)
    file.add(OLD)
    with path.open("ab") as other:
        other.write(b'{"file": "b", "off')
    file.add(NEW)
    assert lines_of(path) == OLD + NEW


def test_a_device_keeps_nothing() -> None:
    lines = JsonLines(Path("/dev/null"), KEY)
    lines.add(OLD)
    lines.add(NEW)


def test_a_full_disk_is_said() -> None:
    lines = JsonLines(Path("/dev/full"), KEY)
    with pytest.raises(JsonLinesError, match="No space left"):
        lines.add(OLD)
