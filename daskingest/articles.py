"""Articles, and the one adapter from a CSV row or JSON object to an Article."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daskingest.errors import UsageError
from daskingest.text import fold_space, is_unicode

CONTENT_COLUMNS = ("article", "content", "text")
PUBLICATION_COLUMNS = ("publication", "source")
MAX_PUBLICATION = 1000
"""Longest publication name, in characters. A longer one is text that was misread as a name."""


def publication_key(name: str) -> str:
    """The key under which a publication is counted, whatever its case and spacing."""
    return fold_space(name).lower()


@dataclass(frozen=True, slots=True)
class Article:
    """A text and the publication that it appeared in; neither is empty."""

    content: str
    publication: str
    id: str | None = None


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
    """The names of the fields that hold an article's content and publication."""

    content: str
    publication: str

    @classmethod
    def find(
        cls, names: Iterable[str], content: str | None = None, publication: str | None = None
    ) -> Columns:
        """The columns to use among `names`: the ones asked for, else the first with a known name.

        Known names are compared without regard to case. Raises UsageError, which lists `names`, if
        a column is missing.
        """
        seen = list(names)
        return cls(
            _find("content", seen, content, CONTENT_COLUMNS),
            _find("publication", seen, publication, PUBLICATION_COLUMNS),
        )


def _find(role: str, seen: list[str], wanted: str | None, known: tuple[str, ...]) -> str:
    if wanted is not None:
        if wanted in seen:
            return wanted
        raise UsageError(
            f"no column for the {role}: expected {wanted!r}, found the columns {_shown(seen)}; "
            f"name one of them with --{role}-column"
        )
    folded = {fold_space(name).lower(): name for name in reversed(seen)}
    for name in known:
        if name in folded:
            return folded[name]
    expected = ", ".join(map(repr, known[:-1])) + f" or {known[-1]!r}"
    raise UsageError(
        f"no column for the {role}: expected {expected}, found the columns {_shown(seen)}; name it "
        f"with --{role}-column"
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
    return Article(content, publication, None if ident is None else str(ident))


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
    return value
