"""What files are: their format, columns and rows, and what of them would be rejected."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from daskingest.articles import Reject
from daskingest.doctor.finding import Finding, ok, problem, warning
from daskingest.errors import DaskingestError
from daskingest.progress import Progress
from daskingest.settings import BATCH_BYTES, FileSettings
from daskingest.sources.datafile import DataFile
from daskingest.sources.encodings import UTF8
from daskingest.sources.gathering import gather
from daskingest.sources.opening import open_file
from daskingest.text import size_text

_LOOKED_AT = 64  # ranges, in which rejects are looked for
_SHOWN = 5


def look_at(paths: Sequence[str], settings: FileSettings) -> Iterator[Finding]:
    """The findings about files. Raises nothing, and changes nothing."""
    for path in paths:
        try:
            yield from _look_at(path, settings)
        except DaskingestError as error:
            yield problem("file", str(error))
        except Exception as error:  # this is what the user wants to know about
            yield problem("file", f"{path}: {type(error).__name__}: {error}")


class _Warnings(Progress):
    """Keeps what a user is warned of."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def warn(self, message: str) -> None:
        """See `Progress.warn`."""
        self.texts.append(message)


def _look_at(path: str, settings: FileSettings) -> Iterator[Finding]:
    warnings = _Warnings()
    gathered = gather([path], lambda origin: open_file(origin, settings), warnings)
    refused = [f"left out: {each.error}" for each in gathered.refused]
    yield from (problem("file", each) for each in refused)
    yield from (warning("file", each, "") for each in warnings.texts if each not in refused)
    for file in gathered.files:
        yield from _findings(file)


def _findings(file: DataFile) -> Iterator[Finding]:
    origin, columns = file.origin, file.columns
    packed = f", compressed with {origin.codec.name}" if origin.codec else ""
    yield ok("file", f"{origin.called}: {file.kind}, {size_text(origin.size)}{packed}")
    yield from (warning("file", each, "") for each in file.notes)
    yield ok("encoding", file.encoding or UTF8)
    yield ok("written", file.traits)
    if file.slow:
        yield warning("written", f"it takes longer than usual to be cut: {file.slow}", "")
    yield ok("columns", ", ".join(map(repr, file.names)))
    taken = [f"content from {columns.content!r}", f"publication from {columns.publication!r}"]
    taken += [f"dates from {' and '.join(map(repr, columns.dates))}"] if columns.dates else []
    yield ok("taken", ", ".join(taken))
    yield from _rows(file)


def _rows(file: DataFile) -> Iterator[Finding]:
    """All rows are counted; of those at the beginning it is seen which ones are rejects."""
    parts = file.ranges(BATCH_BYTES)
    rows, rejects, reasons = 0, list[tuple[int, Reject]](), Counter[str]()
    for part in itertools.islice(parts, _LOOKED_AT):
        for each in part.rows():
            rows += 1
            if isinstance(each, Reject):
                reasons[each.reason] += 1
                rejects += [(rows, each)][: _SHOWN - len(rejects)]
    looked = rows
    rows += sum(part.row_count for part in parts)
    yield ok("rows", f"{rows:,}") if rows else warning("rows", "none", "there is nothing to count")
    among = "" if looked == rows else f" among the first {looked:,} rows"
    if not rejects:
        yield ok("rejects", f"none{among}")
        return
    found = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common()) + among
    if reasons.total() == looked:
        yield problem("rejects", found, "no row is an article: name its columns, or its --encoding")
    else:
        yield warning("rejects", found, "")
    for row, each in rejects:
        place = "" if file.unit == "rows" else f" at byte {each.offset:,}"
        detail = f" ({each.detail})" if each.detail else ""
        yield warning("rejects", f"row {row:,}{place}: {each.reason}{detail}", "")
