"""Downloads: what a page shows, as a file for other tools."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

from daskingest.web.call import Call
from daskingest.web.problems import Problem

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, with one cell for each name in the header."""

    header: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


class Downloads:
    """Answers `/download/{view}.{kind}` with the table of that view."""

    def __init__(self, views: Mapping[str, Callable[[Call], Awaitable[Table]]]) -> None:
        self._views = views

    async def file(self, call: Call) -> Response:
        """All that a page shows, as a file."""
        view, kind = call.path_parameter("view"), call.path_parameter("kind")
        if view not in self._views or kind not in _TYPES:
            raise Problem(404, "there is no such download", "unknown")
        table = await self._views[view](call)
        body = await asyncio.to_thread(table_file, kind, table)
        headers = {
            "Content-Type": _TYPES[kind],
            "Content-Disposition": f'attachment; filename="{view}.{kind}"',
        }
        return Response(body, headers=headers)


def table_file(kind: str, table: Table) -> bytes:
    """The table as a `csv` or `parquet` file.

    In CSV, text that a spreadsheet would run as a formula is preceded by an apostrophe.
    """
    if kind == "parquet":
        return _parquet(table)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(table.header)
    writer.writerows([[_defused(cell) for cell in row] for row in table.rows])
    return out.getvalue().encode()


def _defused(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _parquet(table: Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [list(column) for column in zip(*table.rows, strict=True)]
    columns = columns or [[] for _ in table.header]
    out = io.BytesIO()
    pq.write_table(pa.table(columns, names=list(table.header)), out)
    return out.getvalue()
