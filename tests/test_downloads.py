"""Tables as files."""

from __future__ import annotations

import asyncio
import csv
import io

import pyarrow.parquet as pq
import pytest

from daskingest.errors import UsageError
from daskingest.web.call import Call
from daskingest.web.downloads import Downloads, Table, View, table_file
from daskingest.web.problems import Problem

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


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("name=The+Post&since=2016-01", 'filename="view-the-post-2016-01.csv"'),
        ("word=%22a%22%0D%0Ab%3D..%2F", 'filename="view-a-b.csv"'),
        ("word=Z%C3%BCrich", "filename=\"view-zrich.csv\"; filename*=UTF-8''view-z%C3%BCrich.csv"),
        ("word=%E6%9D%B1", "filename=\"view.csv\"; filename*=UTF-8''view-%E6%9D%B1.csv"),
        (f"word={'x' * 500}", f'filename="view-{"x" * 95}.csv"'),
    ],
)
def test_a_file_s_name_says_what_is_in_it(query: str, named: str) -> None:
    async def table(call: Call) -> Table:
        return Table(("a",), [])

    async def nothing(call: Call) -> None:
        return None

    def call(kind: str) -> Call:
        parameters = {"view": "view", "kind": kind}
        scope = {"query_string": query.encode(), "headers": [], "path_params": parameters}
        return Call(scope, None)  # type: ignore[arg-type]

    downloads = Downloads({"view": View(table, nothing)})
    answer = asyncio.run(downloads.file(call("csv")))
    assert answer.headers["content-disposition"] == f"attachment; {named}"
    with pytest.raises(UsageError, match="nothing to draw"):
        asyncio.run(downloads.file(call("svg")))
    with pytest.raises(Problem):
        asyncio.run(downloads.file(call("exe")))
