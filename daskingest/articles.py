"""Articles, and the one adapter from a CSV row or JSON object to an Article."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from daskingest.errors import UsageError
from daskingest.months import month_from, month_of
from daskingest.text import fold_space, is_unicode

CONTENT_COLUMNS = ("article", "content", "text")
PUBLICATION_COLUMNS = ("publication", "source")
DATE_COLUMNS = ("date", "published", "publication_date")
YEAR_COLUMN, MONTH_COLUMN = "year", "month"
MAX_PUBLICATION = 1000
"""Longest publication name, in characters. A longer one is text that was misread as a name."""


def publication_key(name: str) -> str:
    """The key under which a publication is counted, however it is spaced, cased and composed."""
    return fold_space(name).lower()


@dataclass(frozen=True, slots=True)
class Article:
    """A text and the publication that it appeared in; neither is empty.

    `month` is that of its date, see `months`; None if that is not known.
    """

    content: str
    publication: str
    id: str | None = None
    month: int | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """An input that could not be used, and why.

    `row` is its index among the rows of its batch, from 0; `offset` its byte offset in the file.
    `reason` is one of a few fixed phrases, by which rejects can be counted; `detail` says what was
    found in this case.
    """

    reason: str
    detail: str = ""
    row: int = 0
    offset: int | None = None


class Unusable(ValueError):
    """A row or object is not an article; has the `reason` and `detail` of its Reject."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the fields that hold an article's content and publication, and its date.

    Where there is no `date`, or it isn't one, the `year` and the `month` tell; any of them may be
    missing. Of several columns of one name, `NAME` is the first and `NAME#2` the second.
    """

    content: str
    publication: str
    date: str | None = None
    year: str | None = None
    month: str | None = None

    @classmethod
    def find(
        cls,
        names: Iterable[str],
        content: str | None = None,
        publication: str | None = None,
        date: str | None = None,
        dates: bool = True,
    ) -> Columns:
        """The columns to use among `names`: the ones asked for, else the first with a known name.

        Known names are compared without regard to case. Without `dates` none is for a date. Raises
        UsageError, which lists `names`, if a column is missing, unless it is for a date that was
        not asked for, and if several could be meant.
        """
        seen = list(names)
        found = cls(
            _find("content", seen, content, CONTENT_COLUMNS),
            _find("publication", seen, publication, PUBLICATION_COLUMNS),
        )
        if not dates:
            return found
        if date is not None:
            return replace(found, date=_find("date", seen, date, ()))
        found = replace(found, date=_known("date", seen, DATE_COLUMNS))
        year, month = _known("date", seen, (YEAR_COLUMN,)), _known("date", seen, (MONTH_COLUMN,))
        return replace(found, year=year, month=month) if year and month else found

    @property
    def dates(self) -> tuple[str, ...]:
        """Those that have dates."""
        return tuple(each for each in (self.date, self.year, self.month) if each is not None)


FindColumns = Callable[[Sequence[str]], Columns]
"""Finds the columns among names, as a user wants them; raises as `Columns.find`."""


def column_index(names: Sequence[str], column: str) -> int | None:
    """Where a column is among all, as `Columns` calls it; None if it is not there."""
    if column in names:
        return names.index(column)
    name, _, number = column.rpartition("#")
    its = [i for i, each in enumerate(names) if each == name]
    if not (number.isascii() and number.isdecimal()) or not 1 <= int(number) <= len(its):
        return None
    return its[int(number) - 1]


def _find(role: str, seen: list[str], wanted: str | None, known: tuple[str, ...]) -> str:
    if wanted is not None:
        place = column_index(seen, wanted)
        if place is None:
            raise UsageError(
                f"no column for the {role}: expected {wanted!r}, found the columns {_shown(seen)}; "
                f"name one of them with --{role}-column"
            )
        if wanted in seen:
            return _only(role, seen, [i for i, name in enumerate(seen) if name == wanted])
        return seen[place] if place == seen.index(seen[place]) else wanted
    if (found := _known(role, seen, known)) is not None:
        return found
    expected = ", ".join(map(repr, known[:-1])) + f" or {known[-1]!r}"
    raise UsageError(
        f"no column for the {role}: expected {expected}, found the columns {_shown(seen)}; name it "
        f"with --{role}-column"
    )


def _known(role: str, seen: list[str], known: tuple[str, ...]) -> str | None:
    """The first of the known names that was seen, as it is written there.

    Raises UsageError if it was seen several times.
    """
    folded = [fold_space(name).lower() for name in seen]
    for name in known:
        if name in folded:
            return _only(role, seen, [i for i, each in enumerate(folded) if each == name])
    return None


def _only(role: str, seen: list[str], places: list[int]) -> str:
    """The name of the only column that is meant. Raises UsageError if there are several."""
    if len(places) == 1:
        return seen[places[0]]
    found = " and ".join(f"{seen[i]!r} (column {i + 1})" for i in places)
    choices = []
    for i in places:
        number = seen[: i + 1].count(seen[i])
        choices.append(repr(f"{seen[i]}#{number}" if seen.count(seen[i]) > 1 else seen[i]))
    raise UsageError(
        f"{len(places)} columns could hold the {role}: {found}; choose one with "
        f"--{role}-column {' or '.join(choices)}"
    )


def _shown(names: list[str]) -> str:
    """Column names for a message, shortened: a file that is not CSV may have many or long ones."""
    most, longest = 30, 60
    shown = [ascii(name[:longest]) if "\ufffd" in name else repr(name[:longest]) for name in names]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(shown[:most]) + more or "none"


def article_from(raw: Mapping[str, object], columns: Columns) -> Article:
    """The article in a CSV row or JSON object. Raises Unusable if it is not one."""
    content = _text(raw, columns.content, "content")
    publication = fold_space(_text(raw, columns.publication, "publication"))
    if len(publication) > MAX_PUBLICATION:
        raise Unusable("publication too long", f"{len(publication)} characters")
    ident = raw.get("id")
    return Article(
        content, publication, None if ident is None else str(ident), _month(raw, columns)
    )


def _month(raw: Mapping[str, object], columns: Columns) -> int | None:
    found = None if columns.date is None else month_of(raw.get(columns.date))
    if found is None and columns.year is not None and columns.month is not None:
        found = month_from(raw.get(columns.year), raw.get(columns.month))
    return found


def _text(raw: Mapping[str, object], column: str, role: str) -> str:
    value = raw.get(column)
    if value is None:
        raise Unusable(f"no {role}")
    if not isinstance(value, str):
        raise Unusable(f"{role} is not text", f"found {type(value).__name__}")
    if not value or value.isspace():
        raise Unusable(f"no {role}")
    if not is_unicode(value):
        raise Unusable(f"{role} is not valid Unicode", "a lone surrogate")
    if "\0" in value:
        raise Unusable(f"{role} holds a NUL character")
    return value
