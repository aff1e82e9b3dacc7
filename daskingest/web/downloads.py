"""What a page shows, as a file for other tools."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def table_file(kind: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """The rows as a `csv` or `parquet` file.

    In CSV, a text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    if kind == "parquet":
        return _parquet(header, rows)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([[_defused(cell) for cell in row] for row in rows])
    return out.getvalue().encode()


def _defused(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _parquet(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in header]
    out = io.BytesIO()
    pq.write_table(pa.table(columns, names=list(header)), out)
    return out.getvalue()
