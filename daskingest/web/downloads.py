"""Downloads: what a page shows, as a file for other tools: tables, and pictures as SVG.

A PNG is made of the SVG by the page, see `static/pictures.js`.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import io
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response

from daskingest.errors import UsageError
from daskingest.text import fold_space
from daskingest.web.call import Call
from daskingest.web.pictures.picture import Figure, styles
from daskingest.web.problems import Problem
from daskingest.web.responses import secured

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "svg": "image/svg+xml; charset=utf-8",
}
_IN_NAMES, _MAX_NAME = ("label", "q", "since", "until", "by"), 100

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, with one cell for each name in the header."""

    header: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


@dataclass(frozen=True, slots=True)
class View:
    """Something that a page shows: its table, and its figure if it is a picture; both of a request.

    A figure is None if there is nothing to draw.
    """

    table: Callable[[Call], Awaitable[Table]]
    figure: Callable[[Call], Awaitable[Figure | None]] | None = None


class Downloads:
    """Answers `/download/{view}.{kind}` with the table of that view, or its picture."""

    def __init__(self, views: Mapping[str, View]) -> None:
        self._views = views

    async def file(self, call: Call) -> Response:
        """All that a page shows, as a file."""
        name, kind = call.path_parameter("view"), call.path_parameter("kind")
        view = self._views.get(name)
        if view is None or kind not in _TYPES or (kind == "svg" and view.figure is None):
            raise Problem(404, "there is no such download", "unknown")
        if kind == "svg" and view.figure is not None:
            return await _picture(view.figure, call, name)
        table = await view.table(call)
        body = await asyncio.to_thread(table_file, kind, table)
        return _file(body, kind, name, call)


async def _picture(
    figure: Callable[[Call], Awaitable[Figure | None]], call: Call, name: str
) -> Response:
    found = await figure(call)
    if found is None:
        raise UsageError("there is nothing to draw")
    body = await asyncio.to_thread(found.alone)
    digest = base64.b64encode(hashlib.sha256(styles().encode()).digest()).decode()
    return secured(_file(body, "svg", name, call), f"'sha256-{digest}'")


def _file(body: bytes, kind: str, name: str, call: Call) -> Response:
    """The file, with a name that says what is in it."""
    of = [*call.texts("name"), *call.texts("word"), *(call.text(each) for each in _IN_NAMES)]
    whole = "-".join(filter(None, map(_simple, (name, *of))))[:_MAX_NAME].rstrip("-")
    plain = re.sub("-+", "-", re.sub("[^a-z0-9-]", "", whole)).strip("-")
    named = f'attachment; filename="{plain}.{kind}"'
    if plain != whole:
        named += f"; filename*=UTF-8''{quote(whole)}.{kind}"
    return Response(body, headers={"Content-Type": _TYPES[kind], "Content-Disposition": named})


def _simple(text: str) -> str:
    """The letters and digits of a text, and hyphens where there is something else."""
    return re.sub(r"[\W_]+", "-", fold_space(text).lower()).strip("-")


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
