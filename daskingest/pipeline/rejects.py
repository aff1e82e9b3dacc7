"""The file of rejects: where each stood and why it was not taken, one JSON object a line."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from daskingest.articles import Article, Reject
from daskingest.counts import Tally
from daskingest.errors import UsageError
from daskingest.sources.csvfile import CsvRange

if TYPE_CHECKING:  # it brings Dask with it, which who uploads has no need of
    from daskingest.pipeline.batch import Batch

_START = b'{"file": '


class RejectsFile:
    """Collects the rejects of CSV files, each once, over any number of interrupted runs.

    The file is written when there is a first reject. It needs no ledger of its own: a reject that
    a killed run had no time to write is found again in the CSV file, because the store's ledger
    tells how many there are in each batch.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        if not self.path.absolute().parent.is_dir() or self.path.is_dir():
            raise UsageError(
                f"cannot write rejects to {path}: expected a file in a folder that is there"
            )
        self._torn: int | None = None  # where a last line begins that a crash has cut off
        self._known = self._load()

    def add(self, name: str, batch: Batch, tally: Tally, rejects: list[Reject] | None) -> None:
        """Write a batch's rejects; found again in the file called `name` if they are not known."""
        if not tally.rejected:
            return
        if rejects is None or tally.failed:
            rejects = list(find_rejects(batch, tally))
        first_row = batch.source.first_row if isinstance(batch.source, CsvRange) else 0
        self.write(name, rejects, first_row)

    def write(self, name: str, rejects: Iterable[Reject], first_row: int = 0) -> None:
        """Write those rejects of the file called `name` that are not known; rows from `first_row`
        on. All may be given again after an error.
        """
        lines: dict[tuple[str, int | None], str] = {}
        for each in rejects:
            place = (name, each.offset)
            if place in self._known or place in lines:
                continue
            entry = {
                "file": name,
                "offset": each.offset,
                "row": first_row + each.row + 1,
                "reason": each.reason,
                "detail": each.detail,
            }
            lines[place] = json.dumps({k: v for k, v in entry.items() if v != ""}) + "\n"
        if lines:
            try:
                if self._torn is not None:
                    os.truncate(self.path, self._torn)
                with self.path.open("a", encoding="utf-8") as file:
                    self._torn = file.tell()  # until all is there
                    file.writelines(lines.values())
                self._torn = None
                self._known.update(lines)
            except OSError as error:
                raise UsageError(f"cannot write rejects to {self.path}: {error}") from None

    def _load(self) -> set[tuple[str, int | None]]:
        """The (file, offset) of each reject that earlier runs have written."""
        if not self.path.exists():
            return set()
        known: set[tuple[str, int | None]] = set()
        good = 0
        try:
            with self.path.open("rb") as file:
                for line in file:
                    if not line.endswith(b"\n") and _START.startswith(line[: len(_START)]):
                        self._torn = good
                        break
                    entry = json.loads(line)
                    known.add((entry["file"], entry["offset"]))
                    good += len(line)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.path} is no file of rejects ({error}); name another with --rejects"
            ) from None
        return known


class SpoolRejects:
    """Collects the articles that the service had acknowledged and the model could not take.

    Each is a line with the whole article, so that nothing is lost, and there once: after a crash,
    what is added again is known by its place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[str] = set()
        if path.exists():
            whole = path.read_bytes()
            lines, torn = whole[: whole.rfind(b"\n") + 1], whole[whole.rfind(b"\n") + 1 :]
            if torn:
                os.truncate(path, len(lines))
            self._known = {json.loads(line)["place"] for line in lines.splitlines()}

    def add(self, place: str, article: Article, reason: str) -> None:
        """Write one, which stands at `place`: its batch's id, `#`, and its number in it."""
        if place in self._known:
            return
        entry = {"place": place, "reason": reason, **dataclasses.asdict(article)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())  # the spool is about to forget it
        self._known.add(place)


def find_rejects(batch: Batch, tally: Tally) -> Iterator[Reject]:
    """The rejects of a batch of a CSV file, read again; of extraction's, the tally has the rows."""
    source = batch.source
    if not isinstance(source, CsvRange):
        return
    rows = enumerate(source.placed_rows())
    for row, (offset, each) in itertools.islice(rows, batch.first, batch.last):
        if isinstance(each, Reject):
            yield each
        elif reason := tally.failed.get(row - batch.first):
            yield Reject(reason, "", row, offset)
