"""Stores that are read where nothing can be written: of another user, or on a read-only medium."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.stores import open_store

_NOBODY = 65534
_POWERLESS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner")
"""root, as one user among others."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a store, which others may read and nobody write to."""
    folder = Path(tempfile.mkdtemp())
    counts = Counts()
    counts.add_article("The Post", [("paris", "GPE")])
    with open_store(f"sqlite:///{folder}/s.db", create=True) as store:
        store.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def locked(folder: Path) -> tuple[str, ...]:
    """Make it read-only; returns what a command must be run with for that to hold."""
    for each in folder.iterdir():
        each.chmod(0o444)
    folder.chmod(0o555)
    if os.geteuid() != 0:
        return ()
    for each in (folder, *folder.iterdir()):
        os.chown(each, _NOBODY, _NOBODY)
    probe = [*_POWERLESS, "touch", str(folder / "x")]
    try:
        if subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0:
            pytest.skip("this machine lets root write everywhere")
        if subprocess.run([*_POWERLESS, "true"], check=False).returncode:
            pytest.skip("this machine lets no process give up rights")
    except OSError:
        pytest.skip("this machine has no setpriv")
    return _POWERLESS


def run(prefix: tuple[str, ...], where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "daskingest", *arguments],
        check=False,
        cwd=where,
        capture_output=True,
        text=True,
    )


def test_counts_are_read(folder: Path, tmp_path: Path) -> None:
    prefix, store = locked(folder), ("--store", f"sqlite:///{folder}/s.db")
    before = sorted(folder.iterdir())
    shown = run(prefix, tmp_path, "publications", "--json", *store)
    assert [each["name"] for each in json.loads(shown.stdout)] == ["The Post"], shown.stderr
    shown = run(prefix, tmp_path, "top", "the post", *store)
    assert "paris" in shown.stdout, shown.stderr
    assert run(prefix, tmp_path, "export", "o.csv", *store).returncode == 0
    assert "paris" in (tmp_path / "o.csv").read_text()
    read = "import daskingest, sys; print(daskingest.words(sys.argv[1], 'The Post'))"
    words = subprocess.run(
        [*prefix, sys.executable, "-c", read, store[1]], check=False, capture_output=True, text=True
    )
    assert "paris" in words.stdout, words.stderr
    assert sorted(folder.iterdir()) == before


def test_changes_that_cannot_be_read_are_named(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    counts = Counts()
    counts.add_article("The Post", [("london", "GPE")])
    with open_store(f"sqlite:///{folder}/s.db", create=True) as store:
        store.commit(counts.packed(), {BatchId("r", "2"): Counted()})
        shutil.copytree(folder, kept)  # as it is while somebody counts
    for name in ("s.db", "s.db-wal"):
        shutil.copy(kept / name, folder)
    (folder / "s.db-shm").unlink(missing_ok=True)
    shown = run(locked(folder), tmp_path, "publications", "--store", f"sqlite:///{folder}/s.db")
    [line] = shown.stderr.splitlines()
    assert shown.returncode == 1
    assert "s.db-wal, which can be read only where its folder can be written" in line


def test_a_store_that_may_not_be_read(folder: Path, tmp_path: Path) -> None:
    prefix = locked(folder)
    (folder / "s.db").chmod(0)
    shown = run(prefix, tmp_path, "publications", "--store", f"sqlite:///{folder}/s.db")
    [line] = shown.stderr.splitlines()
    assert shown.returncode == 1
    assert "you may not read it" in line


def test_a_medium_that_is_mounted_read_only(folder: Path, tmp_path: Path) -> None:
    script = (
        f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && "
        f"{sys.executable} -m daskingest publications --store sqlite:///{folder}/s.db"
    )
    try:
        shown = subprocess.run(
            ["unshare", "-m", "sh", "-c", script],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    except OSError:
        pytest.skip("this machine has no unshare")
    if "mount" in shown.stderr or "unshare" in shown.stderr:
        pytest.skip(f"this machine mounts nothing: {shown.stderr}")
    assert "The Post" in shown.stdout, shown.stderr


@pytest.mark.parametrize("name", ["there.jsonl", "new.jsonl"])
def test_rejects_that_cannot_be_written_are_noticed_at_the_start(
    folder: Path, tmp_path: Path, name: str
) -> None:
    (folder / "there.jsonl").touch()
    (tmp_path / "a.csv").write_text("text,source\nhello,P\n")
    prefix = locked(folder)
    before = sorted(folder.iterdir())
    for command in (["run-csv"], ["upload", "--url", "http://127.0.0.1:9"]):
        rejects = str(folder / name)
        shown = run(prefix, tmp_path, *command, "a.csv", "--rejects", rejects)
        [line] = shown.stderr.splitlines()
        assert shown.returncode == 2
        assert line.startswith(f"error: cannot write rejects to {rejects}: ")
        assert "name another with --rejects" in line
    assert sorted(folder.iterdir()) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.csv"]


def test_a_rejects_file_that_can_be_written_is_not_made(tmp_path: Path) -> None:
    from daskingest.pipeline.rejects import RejectsFile

    RejectsFile(str(tmp_path / "r.jsonl"))
    assert list(tmp_path.iterdir()) == []
