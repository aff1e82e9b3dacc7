"""Tables as files."""

from __future__ import annotations

import csv
import io

import pyarrow.parquet as pq
import pytest

from daskingest.web.downloads import Table, table_file

FORMULAS = ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "\na", "＝1", "＠a"]  # noqa: RUF001


def as_csv(table: Table) -> list[list[str]]:
    """The rows that a CSV reader sees."""
    return list(csv.reader(io.StringIO(table_file("csv", table).decode(), newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_no_spreadsheet_runs_a_text(text: str) -> None:
    assert as_csv(Table(("a",), [(text,)])) == [["a"], ["'" + text]]


def test_other_cells_stay_as_they_are() -> None:
    rows: list[tuple[str | int | float, ...]] = [("a=1", -5, 1.5), ('"quoted", and', 0, -0.1)]
    assert as_csv(Table(("a", "b", "c"), rows))[1:] == [list(map(str, row)) for row in rows]


def test_parquet_keeps_texts_and_types() -> None:
    table = Table(("a", "b"), [("=1+1", 1), ("b", -2)])
    read = pq.read_table(io.BytesIO(table_file("parquet", table)))
    assert read.to_pydict() == {"a": ["=1+1", "b"], "b": [1, -2]}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_without_rows_there_is_a_header(kind: str) -> None:
    file = table_file(kind, Table(("a", "b"), []))
    names = file.decode().strip().split(",") if kind == "csv" else None
    assert (names or pq.read_table(io.BytesIO(file)).column_names) == ["a", "b"]
