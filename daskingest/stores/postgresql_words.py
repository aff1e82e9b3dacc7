"""Reads a publication's words from a store in PostgreSQL: pages, those with a text, and all.

Frequent words come from an index. The others have none: those with the same count are found in the
order of the primary key, where a page of them is never far, unless few match. Then one pass over
all of the publication's words finds them, in as many processes as the server gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daskingest.stores import Months, Word
from daskingest.stores.month_texts import months_in
from daskingest.stores.postgresql_layout import FREQUENT, SCHEMA

_FREQUENT = f"{{n}} >= {FREQUENT}"  # n is the count
_AFTER = "({n} < %(count)s OR {n} = %(count)s AND word > %(word)s)"
_OF_ONE_COUNT = "{n} = %(count)s AND word > %(word)s"

_ORDER = "ORDER BY count DESC, word LIMIT %(limit)s"
_ALPHABETICAL = "ORDER BY word LIMIT %(limit)s"

_HIGHEST = (1 << 63) - 1  # count

_RARE = 5_000  # frequent words of a label; if it has fewer, pages of the others take one pass
_FIRST = 20_000  # the most frequent words, which often are all that a search has to look at
_PAGE = 5_000  # words that one query reads, of all

_COLUMNS = f"""
word, count, spelling, label, count - other,
CASE WHEN other > 0 THEN (
    SELECT json_object_agg(more.label, more.count) FROM {SCHEMA}.other_labels AS more
    WHERE more.publication = words.publication AND more.word = words.word
) END
"""

Query = Callable[[str, Mapping[str, object]], list[tuple[Any, ...]]]
"""Gives a statement's rows; its values are named."""

Row = tuple[str, int]
"""A word and its count."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Words of a publication, by its number: all, or those with a label, or that contain a text."""

    query: Query
    publication: int
    label: str | None
    text: str = ""

    def page(self, limit: int, after: tuple[int, str] | None) -> list[Row]:
        """Words after a (count, word), by count descending, then word."""
        count, word = after or (_HIGHEST, "")
        found: list[Row] = []
        if count >= FREQUENT:
            found = self._rows(f"{_FREQUENT} AND {_AFTER}", _ORDER, limit, count, word)
            count, word = FREQUENT - 1, ""
        if len(found) < limit and self.label is not None and self._is_rare():
            return found + self._rows(_AFTER, _ORDER, limit - len(found), count, word)
        while count and len(found) < limit:
            found += self._rows(_OF_ONE_COUNT, _ALPHABETICAL, limit - len(found), count, word)
            count, word = count - 1, ""
        return found

    def search(self, limit: int) -> list[Row]:
        """Its most frequent words, by count descending, then word."""
        every = Selection(self.query, self.publication, self.label)
        frequent = every._statement(_FREQUENT, f"ORDER BY count DESC, word LIMIT {_FIRST}")
        matching = f"SELECT * FROM ({frequent}) AS found WHERE strpos(word, %(text)s) > 0 {_ORDER}"
        found: list[Row] = self.query(matching, self._values(limit))
        return found if len(found) == limit else self._rows("TRUE", _ORDER, limit)

    def with_labels(self, rows: Iterable[Row]) -> list[Word]:
        """The words with their counts by label: all of them, or the one that was asked for."""
        words = [*looked_up(self.query, [(self.publication, word) for word, _ in rows]).values()]
        if self.label is not None:
            words = [its for each in words if (its := each.under(self.label))]
        return sorted(words, key=lambda each: (-each.count, each.word))

    def _rows(
        self, where: str, order: str, limit: int, count: int = 0, word: str = ""
    ) -> list[Row]:
        return self.query(self._statement(where, order), self._values(limit, count, word))

    def _statement(self, where: str, order: str) -> str:
        """A word has one of its labels in its own row, and what others it has in other rows."""
        if self.text:
            where = f"strpos(word, %(text)s) > 0 AND {where}"
        if self.label is None:
            return _rows_of("words", "count", where) + order
        where = f"label = %(label)s AND {where}"
        own = _rows_of("words", "count - other", where)
        others = _rows_of("other_labels", "count", where)
        return f"({own}{order}) UNION ALL ({others}{order}) {order}"

    def _values(self, limit: int, count: int = 0, word: str = "") -> dict[str, object]:
        given = {"publication": self.publication, "label": self.label, "text": self.text}
        return {**given, "limit": limit, "count": count, "word": word}

    def _is_rare(self) -> bool:
        """Whether the label is one of few words."""
        return len(self._rows(_FREQUENT, _ORDER, _RARE)) < _RARE


def _rows_of(table: str, count: str, where: str) -> str:
    condition = f"publication = %(publication)s AND {where.format(n=f'({count})')}"
    return f"SELECT word, {count} AS count FROM {SCHEMA}.{table} AS words WHERE {condition} "


def number_of(query: Query, publication: str) -> int:
    """A publication's number, by its key; 0, which none has, if there is no such publication."""
    found = query(f"SELECT id FROM {SCHEMA}.publications WHERE key = %(key)s", {"key": publication})
    return int(found[0][0]) if found else 0


def found(query: Query, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Word]:
    """See `Store.find_words`."""
    keys = _keys(query, {key for key, _ in words})
    numbers = {key: number for number, key in keys.items()}
    wanted = [(numbers[key], word) for key, word in words if key in numbers]
    return {(keys[number], word): each for (number, word), each in looked_up(query, wanted).items()}


def months(query: Query, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Months]:
    """See `Store.word_months`."""
    rows = query(
        f"SELECT key, word, words.months FROM unnest(%(keys)s::text[], %(words)s::text[]) "
        f"AS wanted (key, word) JOIN {SCHEMA}.publications AS its USING (key) "
        f"JOIN {SCHEMA}.words USING (word) "
        "WHERE words.publication = its.id AND words.months IS NOT NULL",
        {"keys": [key for key, _ in words], "words": [word for _, word in words]},
    )
    return {(key, word): months_in(text) for key, word, text in rows}


def in_order(query: Query, publication: int) -> Iterator[Word]:
    """A publication's words, in their order."""
    for _, *row in _pages(query, publication, f"0, {_COLUMNS}", "count > 0"):
        yield _word(row)


def months_in_order(query: Query, publication: int) -> Iterator[tuple[str, Months]]:
    """A publication's words that have months, in their order."""
    for word, text in _pages(query, publication, "word, months", "months IS NOT NULL"):
        yield word, months_in(text)


def _pages(query: Query, publication: int, columns: str, where: str) -> Iterator[tuple[Any, ...]]:
    """Columns of the publication's words of which something is true, in the order of the words."""
    last = ""
    while True:
        rows = query(
            f"SELECT {columns}, word FROM {SCHEMA}.words WHERE publication = %(publication)s "
            f"AND word > %(last)s AND {where} ORDER BY word LIMIT %(limit)s",
            {"publication": publication, "last": last, "limit": _PAGE},
        )
        for row in rows:
            yield row[:-1]
        if len(rows) < _PAGE:
            return
        last = rows[-1][-1]


def looked_up(query: Query, words: Collection[tuple[int, str]]) -> dict[tuple[int, str], Word]:
    """Those words of publications, by their numbers, that there are."""
    rows = query(
        f"SELECT publication, {_COLUMNS} FROM unnest(%(numbers)s::integer[], %(words)s::text[]) "
        f"AS wanted (publication, word) JOIN {SCHEMA}.words USING (publication, word)",
        {"numbers": [number for number, _ in words], "words": [word for _, word in words]},
    )
    return {(number, row[0]): _word(row) for number, *row in rows}


def _keys(query: Query, keys: Collection[str]) -> dict[int, str]:
    statement = f"SELECT id, key FROM {SCHEMA}.publications WHERE key = ANY(%(keys)s)"
    return dict(query(statement, {"keys": list(keys)}))


def _word(row: list[Any]) -> Word:
    word, count, spelling, label, own, others = row
    return Word(word, count, {**({label: own} if own else {}), **(others or {})}, spelling)
