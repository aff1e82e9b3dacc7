"""Aliases: lists of words that are shown and counted as one, under one name.

A list is a CSV file with the columns `word` and `name`. All words with the same name are a group,
and the name itself is one of them. Which group a word is in depends on the word alone, not on its
label: months are not kept by label, so a part of a word could not be moved exactly.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from daskingest.errors import UsageError
from daskingest.shown import NEWS, NO_ALIASES
from daskingest.spelling import spelling_of
from daskingest.stores import Word
from daskingest.text import MAX_WORD, fold_space, word_of

MOST_WORDS = 5_000
"""Words in a list: a page of a publication's words looks all of them up."""

_SHIPPED = Path(__file__).parent.parent / "aliases.csv"
_COLUMNS = ("word", "name")


@dataclass(frozen=True, slots=True)
class AliasGroup:
    """Words that are one, by the name that they are shown under; `words[0]` is its lower case."""

    name: str
    words: tuple[str, ...]

    def merged(self, found: Iterable[Word]) -> Word | None:
        """Those of its words that occur somewhere, as one word; None: none of them does."""
        its = sorted(found, key=place)
        if not its:
            return None
        labels: Counter[str] = Counter()
        for each in its:
            labels.update(each.labels)
        word = self.words[0]
        aliases = () if [each.word for each in its] == [word] else tuple(its)
        count = sum(each.count for each in its)
        return Word(word, count, dict(labels), spelling_of(self.name, word), aliases)


class Aliases:
    """Groups of words, each word in one of them. Without groups, each word stands alone."""

    def __init__(self, groups: Iterable[AliasGroup] = ()) -> None:
        self.groups = tuple(groups)
        self._of = {word: group for group in self.groups for word in group.words}

    def of(self, word: str) -> AliasGroup | None:
        """The group that a word is in, if it is in one."""
        return self._of.get(word)

    @property
    def words(self) -> Iterable[str]:
        """All words of all groups."""
        return self._of.keys()


ALONE = Aliases()
"""No aliases."""


def place(word: Word) -> tuple[int, str]:
    """What words are ordered by: count descending, then word."""
    return -word.count, word.word


def aliases_from(chosen: str) -> Aliases:
    """The list that a setting chooses: the one that is shipped, none, or that of a CSV file.

    Raises UsageError if the file can't be read, or what it says can't be meant.
    """
    if chosen == NO_ALIASES:
        return ALONE
    path = _SHIPPED if chosen == NEWS else Path(chosen)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(chosen, csv.reader(file))
    except UnicodeDecodeError:
        raise UsageError(
            f"the aliases {chosen} are not UTF-8: save the file as CSV in UTF-8"
        ) from None
    except OSError as error:
        raise UsageError(
            f"cannot read the aliases {chosen}: {error.strerror}; expected a CSV file with the "
            f"columns word and name, {NEWS!r} or {NO_ALIASES!r}"
        ) from None


@dataclass(slots=True)
class _Draft:
    """A group while its list is read, and the line where it came first."""

    name: str
    line: int
    lines: dict[str, int] = field(default_factory=dict)
    """Where each of its words stands."""


def _read(chosen: str, rows: Iterator[list[str]]) -> Aliases:
    groups: dict[str, _Draft] = {}
    owners: dict[str, str] = {}
    for line, word, name in _pairs(chosen, rows):
        key = word_of(name)
        group = groups.setdefault(key, _Draft(fold_space(name), line, {key: line}))
        for each in (key, word_of(word)):
            group.lines.setdefault(each, line)
            if (other := groups[owners.setdefault(each, key)]) is not group:
                raise _in_two(chosen, line, each, group, other)
    if not groups:
        raise UsageError(
            f"the aliases {chosen} are empty: expected a row for each word below the line "
            f"word,name; {NO_ALIASES!r} turns aliases off"
        )
    if len(owners) > MOST_WORDS:
        raise UsageError(
            f"the aliases {chosen} have {len(owners):,} words, expected up to {MOST_WORDS:,}: each "
            "page looks all of them up"
        )
    return Aliases(AliasGroup(each.name, tuple(each.lines)) for each in groups.values())


def _in_two(chosen: str, line: int, word: str, group: _Draft, other: _Draft) -> UsageError:
    """The error for a word that is in both groups, in `group` by this line."""
    names = {word_of(each.name) for each in (group, other)}
    hint = "have each word once"
    if word in names:
        hint = "a name can't have another name: give all of their words the same one"
    return UsageError(
        f"line {line} of the aliases {chosen}: {word!r} is counted as {group.name!r} here, and as "
        f"{other.name!r} in line {other.lines[word]}; {hint}"
    )


def _pairs(chosen: str, rows: Iterator[list[str]]) -> Iterator[tuple[int, str, str]]:
    """The words and names of a file, with the numbers of their lines. Raises UsageError."""
    line = 1
    try:
        header = [each.strip().lower() for each in next(rows, [])]
        if not set(_COLUMNS) <= set(header):
            raise UsageError(
                f"the aliases {chosen} need the columns word and name, separated by commas; "
                f"expected them in the first line, found {', '.join(header)[:80]!r}"
            )
        columns = [header.index(each) for each in _COLUMNS]
        for line, row in enumerate(rows, 2):
            if any(each.strip() for each in row):
                word, name = _pair(chosen, line, row, columns, len(header))
                yield line, word, name
    except csv.Error as error:
        raise UsageError(f"the aliases {chosen} are no CSV after line {line}: {error}") from None


def _pair(
    chosen: str, line: int, row: list[str], columns: list[int], width: int
) -> tuple[str, str]:
    where = f"line {line} of the aliases {chosen}"
    if len(row) != width:
        raise UsageError(
            f"{where}: expected {width} fields, found {len(row)}; put names that have commas in "
            "double quotes"
        )
    word, name = (row[each] for each in columns)
    for column, text in (("word", word), ("name", name)):
        if "\0" in text:
            raise UsageError(f"{where}: the {column} has a NUL character, which no word has")
        if not word_of(text):
            raise UsageError(f"{where}: the {column} is blank; fill it in, or remove the line")
        if len(word_of(text)) > MAX_WORD:
            raise UsageError(
                f"{where}: the {column} has {len(word_of(text)):,} characters; words of more than "
                f"{MAX_WORD} are never counted"
            )
    return word, name
