"""All counts in one file, which is there when it is complete."""

from __future__ import annotations

import csv
import resource
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from daskingest.counts import Counts
from daskingest.errors import UsageError
from daskingest.ledger import BatchId, Counted
from daskingest.stores import Store, open_store
from daskingest.stores.export import HEADER, write_counts

ROWS = [
    ("B", "rome", "GPE", 1, "Rome"),
    ('The "A"', "a, b", "ORG", 2, "A, b"),
    ('The "A"', "öl", "GPE", 1, "öl"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "store").mkdir()
    with open_store(f"sqlite:///{tmp_path}/store/s.db", create=True) as opened:
        counts = Counts()
        counts.add_article('The "A"', [("A, b", "ORG"), ("öl", "GPE"), ("a, B", "ORG")])
        counts.add_article("B", [("Rome", "GPE")])
        opened.commit(counts.packed(), {BatchId("r", "1"): Counted()})
        yield opened


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_file())


def test_a_csv_file(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "counts.CSV"
    out.write_text("what was there before")
    assert write_counts(store, out) == 3
    with out.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == [*HEADER]
    assert [(p, w, label, int(n), name) for p, w, label, n, name in rows] == sorted(ROWS)
    assert files(tmp_path) == ["counts.CSV"]


def test_a_parquet_file(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "counts.parquet"
    assert write_counts(store, out) == 3
    found = pq.read_table(out)
    assert found.column_names == [*HEADER]
    assert sorted(tuple(each.values()) for each in found.to_pylist()) == sorted(ROWS)
    assert files(tmp_path) == ["counts.parquet"]


def test_an_empty_store(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/empty.db", create=True) as store:
        for ending in ("csv", "parquet"):
            assert write_counts(store, tmp_path / f"counts.{ending}") == 0
    assert (tmp_path / "counts.csv").read_text().split() == [",".join(HEADER)]
    assert pq.read_table(tmp_path / "counts.parquet").column_names == [*HEADER]


def test_what_cannot_be_written_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a name that ends in \.csv or \.parquet"):
        write_counts(store, tmp_path / "counts.txt")
    with pytest.raises(UsageError, match="No such file or directory"):
        write_counts(store, tmp_path / "none" / "counts.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match="Is a directory"):
        write_counts(store, tmp_path / "folder.csv")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        for ending in ("csv", "parquet"):
            with pytest.raises(UsageError, match=r"cannot write .*large"):
                write_counts(store, tmp_path / f"counts.{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(tmp_path) == []
