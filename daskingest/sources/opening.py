"""Opens a file of articles in whatever format it is."""

from __future__ import annotations

from typing import Protocol

from daskingest.sources.csvfile import open_csv
from daskingest.sources.datafile import DataFile
from daskingest.sources.origin import Origin


class FileOptions(Protocol):
    """What a user has said of files: the fields of `Settings` and `UploadSettings` that do so."""

    @property
    def content_column(self) -> str | None:
        """The column with the texts."""

    @property
    def publication_column(self) -> str | None:
        """The column with the publications' names."""

    @property
    def date_column(self) -> str | None:
        """The column with the dates."""

    @property
    def dates(self) -> bool:
        """Whether dates are looked for."""


def open_file(path: str | Origin, options: FileOptions) -> DataFile:
    """Open a file and find its columns.

    Raises UsageError if there is no such file, if it is no file of articles, or if it has no column
    for the content or the publication.
    """
    return open_csv(
        path,
        options.content_column,
        options.publication_column,
        options.date_column,
        options.dates,
    )
