"""A store of an earlier version: read as it is, and brought to this version's layout once."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from first_version import first_version, version, with_indexes_of
from program import run

from daskingest.counts import Counts
from daskingest.doctor.finding import Verdict
from daskingest.doctor.places import check_store
from daskingest.errors import StoreError
from daskingest.ledger import BatchId, Counted
from daskingest.stores import Word, open_store
from daskingest.stores.sqlite import SqliteStore
from daskingest.stores.sqlite_layout import SCHEMA

UPGRADE = """
import sys
from daskingest.stores import open_store
open_store(sys.argv[1], create=True, say=lambda line: print(line, flush=True)).close()
"""


def content(url: str) -> list[object]:
    """What is read of a store, in several ways."""
    with open_store(url) as store:
        found: list[object] = [*store.publications(), *store.all_words()]
        for label in (None, "ORG", "GPE", "LOC"):
            found += [*store.words("p", 50, None, label), *store.words("q", 50, (1, "w 5"), label)]
            found += store.search("p", "ab", 20, label)
        return found


def plain(each: object) -> object:
    """What is in `content`, for a set."""
    if isinstance(each, Word):
        return each.word, each.count, frozenset(each.labels.items())
    return each


def layout(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute("SELECT name, type FROM sqlite_master").fetchall()
        columns = [
            (table, column)
            for table, _ in tables
            for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))
        ]
        return {*tables, *columns}


def test_it_is_read_as_it_is_and_counted_into(tmp_path: Path) -> None:
    path, said = tmp_path / "s.db", list[str]()
    url = f"sqlite:///{path}"
    first_version(path, 2_000)
    before = content(url)
    assert version(path) == 1
    with open_store(url, create=True, say=said.append) as store:
        assert [line.split(str(path))[0] for line in said] == ["bringing ", ""]
        assert version(path) == SCHEMA.version
        assert content(url) == before
        counts = Counts()
        counts.add_article("P", [("new", "GPE")], 500)
        store.commit(counts.packed(), {BatchId("r", "1"): Counted()})
        assert store.find_words([("p", "new")]) == {("p", "new"): Word("new", 1, {"GPE": 1})}
    with open_store(f"sqlite:///{tmp_path}/new.db", create=True, say=said.append):
        assert len(said) == 2
    assert layout(path) == layout(tmp_path / "new.db")


def indexes(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql LIKE '%>=%'")}


@pytest.mark.parametrize("earlier", [2, 3])
def test_one_with_other_indexes_is_read_as_it_is_and_gets_these(
    tmp_path: Path, earlier: int
) -> None:
    """That it is read by its indexes: see `test_sqlite_words`."""
    path, said = tmp_path / "s.db", list[str]()
    url = f"sqlite:///{path}"
    first_version(path, 2_000)
    open_store(url, create=True).close()
    before, now = content(url), indexes(path)
    with_indexes_of(earlier, path)
    assert content(url) == before
    assert version(path) == earlier
    assert indexes(path) != now
    with open_store(url, create=True, say=said.append):
        assert content(url) == before
    assert (len(said), version(path), indexes(path)) == (2, SCHEMA.version, now)


def kill_while_it_upgrades(url: str, moment: float) -> None:
    """Kill -9 a process some seconds after it has begun to upgrade."""
    with subprocess.Popen(
        [sys.executable, "-c", UPGRADE, url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("bringing")
        time.sleep(moment)
        process.kill()


def kill_it(folder: Path, words: int, turns: Iterable[int]) -> list[int]:
    """Upgrade a store, killed at a random moment; the versions it had then."""
    old, path = folder / "old.db", folder / "s.db"
    url = f"sqlite:///{path}"
    first_version(old, words)
    shutil.copy(old, path)
    expected = content(url)
    started = time.monotonic()
    open_store(url, create=True).close()
    seconds = time.monotonic() - started
    path.unlink()
    found = []
    for turn in turns:
        if not path.exists():
            shutil.copy(old, path)
        kill_while_it_upgrades(url, random.Random(turn).random() * seconds)
        assert content(url) == expected
        found.append(version(path))
        if found[-1] == SCHEMA.version:
            path.unlink()
    if path.exists():
        open_store(url, create=True).close()
        assert content(url) == expected
    return found


def test_it_may_be_killed(tmp_path: Path) -> None:
    assert 1 in kill_it(tmp_path, 100_000, range(3))


@pytest.mark.slow
def test_it_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    found = kill_it(tmp_path, 400_000, range(20))
    print(f"{found.count(1)} of {len(found)} killed before the commit")
    assert found.count(1) > 5


def test_many_that_start_together_do_it_once(tmp_path: Path) -> None:
    path, said = tmp_path / "s.db", list[str]()
    url = f"sqlite:///{path}"
    first_version(path, 20_000)
    before = set(map(plain, content(url)))
    start = threading.Barrier(5)

    def work(number: int) -> None:
        start.wait()
        with open_store(url, create=True, say=said.append) as store:
            counts = Counts()
            counts.add_article("R", [("a", "ORG")])
            store.commit(counts.packed(), {BatchId("r", str(number)): Counted()})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 2
    with open_store(url) as store:
        assert store.words("r", 2) == [Word("a", 5, {"ORG": 5})]
    new = [each for each in content(url) if plain(each) not in before]
    assert new[1:] == [("R", "a", "ORG", 5, 0)]


def test_it_needs_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.db"
    first_version(path, 1_000)
    before = path.read_bytes()
    url = f"sqlite:///{path}"
    found = check_store(url)
    assert (found.verdict, "next counted into" in found.found) == (Verdict.OK, True)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 0, 9))
    with pytest.raises(StoreError, match=r"takes 1\.\d MB beside it, and 9 B are free; make room"):
        open_store(url, create=True)
    assert path.read_bytes() == before
    assert len(content(url)) > 1_000
    assert check_store(url).verdict is Verdict.PROBLEM


def test_the_command_says_so(tmp_path: Path) -> None:
    first_version(tmp_path / "daskingest.db", 1_000)
    code, output = run(tmp_path, "prune")
    assert code == 0, output
    first, second, _ = output.splitlines()
    assert "to the layout of this version, once: about" in first
    assert "has the layout of this version now" in second
    assert json.loads(run(tmp_path, "publications", "--json")[1])[0]["count"] == 9


@pytest.mark.parametrize(("found", "whose"), [(99, "a newer"), (0, "an older")])
def test_other_versions_are_refused(tmp_path: Path, found: int, whose: str) -> None:
    path = tmp_path / "s.db"
    first_version(path, 10)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {found}")
    for create in (False, True):
        with pytest.raises(StoreError, match=f"^{whose} daskingest wrote .* version {found} of"):
            SqliteStore(str(path), create).check()
