"""The file of rejects: where each one was and why it was rejected, one JSON object per line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from daskingest.articles import Reject
from daskingest.counts import Tally
from daskingest.errors import UsageError
from daskingest.files import JsonLines, JsonLinesError
from daskingest.sources.csvfile import CsvRange

if TYPE_CHECKING:  # it imports Dask, which uploads don't need
    from daskingest.pipeline.batch import Batch


class RejectsFile:
    """Collects the rejects of CSV files, each once, over any number of interrupted runs.

    The file is created with the first reject. Rejects that a killed run had no time to write are
    found again in the CSV file, because the store's ledger has their number for each batch. To be
    used by one thread at a time. Raises UsageError.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        if not self.path.absolute().parent.is_dir() or self.path.is_dir():
            raise UsageError(
                f"cannot write rejects to {path}: expected a file in a folder that is there"
            )
        try:
            self._lines = JsonLines(self.path, key=("file", "offset"))
        except JsonLinesError as error:
            raise UsageError(
                f"{path} is no file of rejects ({error}); name another with --rejects"
            ) from None

    def add(self, name: str, batch: Batch, tally: Tally, rejects: list[Reject] | None) -> None:
        """Write a batch's rejects; if they are not known, read them again from the file `name`."""
        if not tally.rejected:
            return
        if rejects is None or tally.failed:
            rejects = list(find_rejects(batch, tally))
        first_row = batch.source.first_row if isinstance(batch.source, CsvRange) else 0
        self.write(name, rejects, first_row)

    def write(self, name: str, rejects: Iterable[Reject], first_row: int = 0) -> None:
        """Write the rejects of the file `name` that have not been written; their rows are counted
        from `first_row`. All may be written again after an error.
        """
        try:
            self._lines.add(_entry(name, each, first_row) for each in rejects)
        except JsonLinesError as error:
            raise UsageError(f"cannot write rejects to {self.path}: {error}") from None


def _entry(name: str, reject: Reject, first_row: int) -> dict[str, object]:
    entry = {
        "file": name,
        "offset": reject.offset,
        "row": first_row + reject.row + 1,
        "reason": reject.reason,
        "detail": reject.detail,
    }
    return {field: value for field, value in entry.items() if value != ""}


def find_rejects(batch: Batch, tally: Tally) -> Iterator[Reject]:
    """Read a CSV batch's rejects again. The tally has the rows of those rejected by extraction."""
    source = batch.source
    if not isinstance(source, CsvRange):
        return
    rows = enumerate(source.placed_rows())
    for row, (offset, each) in itertools.islice(rows, batch.first, batch.last):
        if isinstance(each, Reject):
            yield each
        elif reason := tally.failed.get(row - batch.first):
            yield Reject(reason, "", row, offset)
