"""Opens a file of articles in whatever format it is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from daskingest.articles import Columns, FindColumns
from daskingest.errors import UsageError
from daskingest.settings import FileSettings
from daskingest.sources.containers import find_origin
from daskingest.sources.csvfile import csv_file
from daskingest.sources.datafile import DataFile
from daskingest.sources.formats import Format, is_parquet, misnamed, refuse_others, text_format
from daskingest.sources.jsonlines import json_lines_file
from daskingest.sources.origin import Origin
from daskingest.sources.textfile import open_text, read_head


def open_file(path: str | Origin, options: FileSettings) -> DataFile:
    """Open a file and find its columns.

    Raises UsageError if there is no such file, if it is no file of articles, or not one of the
    format that is expected, or if it has no column for the content or the publication.
    """
    origin = find_origin(path) if isinstance(path, str) else path
    head = read_head(origin)
    find = _finder(options)
    refuse_others(origin.called, head)
    if is_parquet(head):
        from daskingest.sources.parquet import open_parquet  # pyarrow takes time to be loaded

        _expect(origin, Format.PARQUET, options)
        return open_parquet(origin, find)
    text = open_text(origin, options.encoding, head)
    found = text_format(origin.called, text.head)
    _expect(origin, found, options)
    text = replace(text, notes=(*text.notes, *misnamed(origin.called, found)))
    return json_lines_file(text, find) if found is Format.JSON_LINES else csv_file(text, find)


def _finder(options: FileSettings) -> FindColumns:
    return partial(
        Columns.find,
        content=options.content_column,
        publication=options.publication_column,
        date=options.date_column,
        dates=options.dates,
    )


def _expect(origin: Origin, found: Format, options: FileSettings) -> None:
    if options.only not in (None, found):
        raise UsageError(
            f"{origin.called} is {found}, and run-csv takes CSV alone: use `daskingest run`"
        )
