"""The file of rejects: where each one was and why it was rejected, one JSON object per line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from daskingest.articles import Reject
from daskingest.errors import DaskingestError, UsageError
from daskingest.files import JsonLines, JsonLinesError, Name, unwritable
from daskingest.sources.datafile import DataRange
from daskingest.tally import Tally

if TYPE_CHECKING:  # it imports Dask, which uploads don't need
    from daskingest.pipeline.batch import Batch


class RejectsUnwritten(DaskingestError):
    """The file of rejects cannot be written, for now."""


class RejectsFile:
    """Collects the rejects of files, each once, over any number of interrupted runs.

    A reject is known by its file's run, which follows from the file's content, and by its place in
    it; lines that earlier versions wrote have no run, and are known by the file's name. Several
    processes may share the file.

    The file is written when there is a first reject. It needs no ledger of its own: a reject that
    a killed run had no time to write is found again in the file, because the store's ledger
    tells how many there are in each batch. To be used by one thread at a time. Raises UsageError
    if it cannot be used.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        if not self.path.absolute().parent.is_dir() or self.path.is_dir():
            raise UsageError(
                f"cannot write rejects to {path}: expected a file in an existing folder"
            )
        if trouble := unwritable(self.path):
            raise UsageError(
                f"cannot write rejects to {path}: {trouble}; name another with --rejects"
            )
        try:
            self._lines = JsonLines(self.path, ("file", "offset"), names=_names)
        except JsonLinesError as error:
            raise UsageError(
                f"{path} is not a file of rejects ({error}); name another with --rejects"
            ) from None

    def add(
        self,
        name: str,
        batch: Batch,
        tally: Tally,
        rejects: list[Reject] | None,
        run: str = "",
    ) -> None:
        """Write a batch's rejects; found again in the file called `name` if they are not known.

        Raises RejectsUnwritten; all may be given again then.
        """
        if not tally.rejected:
            return
        if rejects is None or tally.failed:
            rejects = list(find_rejects(batch, tally))
        first_row = batch.source.first_row if isinstance(batch.source, DataRange) else 0
        self.write(name, rejects, first_row, run)

    def write(
        self, name: str, rejects: Iterable[Reject], first_row: int = 0, run: str = ""
    ) -> None:
        """Write those rejects of the file called `name` that are not known; rows from `first_row`
        on. Raises RejectsUnwritten; all may be given again then.
        """
        try:
            self._lines.add(_entry(name, run, each, first_row) for each in rejects)
        except JsonLinesError as error:
            raise RejectsUnwritten(f"cannot write rejects to {self.path}: {error}") from None


def _names(entry: Mapping[str, object]) -> list[Name]:
    """What a reject is known by."""
    by_file: Name = ("file", entry["file"], entry["offset"])
    run = entry.get("run")
    return [by_file] if run is None else [("run", run, entry["offset"]), by_file]


def _entry(name: str, run: str, reject: Reject, first_row: int) -> dict[str, object]:
    entry = {
        "file": name,
        "offset": reject.offset,
        "row": first_row + reject.row + 1,
        "reason": reject.reason,
        "detail": reject.detail,
        "run": run,
    }
    return {field: value for field, value in entry.items() if value != ""}


def find_rejects(batch: Batch, tally: Tally) -> Iterator[Reject]:
    """Read a batch's rejects again. The tally has the rows of those rejected by extraction.

    The rows of other shards are none of it.
    """
    source = batch.source
    if not isinstance(source, DataRange):
        return
    rows = enumerate(source.placed_rows())
    for row, (offset, each) in itertools.islice(rows, batch.first, batch.last):
        if not batch.has(each):
            continue
        if isinstance(each, Reject):
            yield each
        elif reason := tally.failed.get(row - batch.first):
            yield Reject(reason, "", row, offset)
