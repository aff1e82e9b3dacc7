"""A word's page: which publications mention it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from starlette.responses import Response

from daskingest.counts import MAX_WORD, word_of
from daskingest.months import month_text
from daskingest.stores import Publication, ReadableStore, Word
from daskingest.stores.periods import trends_of
from daskingest.web.call import Call
from daskingest.web.downloads import Table
from daskingest.web.pages.reader import Reader
from daskingest.web.pages.renderer import Renderer
from daskingest.web.pictures import SERIES, Series, lines

_LOOKED_AT = 50
"""Publications with the most mentions, of which some may have no dates."""


class _Row(NamedTuple):
    """A word in a publication; `rate` is its mentions per 1,000 articles."""

    publication: Publication
    word: Word
    rate: float


class WordPage:
    """One word in all publications."""

    def __init__(self, reader: Reader, renderer: Renderer) -> None:
        self._reader, self._renderer = reader, renderer

    async def page(self, call: Call) -> Response:
        """The publications that mention it, by how often they do."""
        word = _word_in(call)
        period = call.period()
        rows = await self._rows(word)
        most = sorted(rows, key=lambda row: -row.word.count)[:_LOOKED_AT]
        shown = [row.publication for row in most]
        trends = await self._reader.read(lambda store: trends_of(store, [word], shown, period))
        trends = [each for each in trends if each.mentions][:SERIES]
        series = [Series(each.publication.name, each.rates()) for each in trends]
        return self._renderer.page(
            "word.html",
            word=word,
            name=rows[0].word.name if rows else word,
            rows=rows,
            aliases=_aliases_in(rows),
            series=series,
            picture=lines(series, "Mentions per 1,000 articles"),
            since=call.text("since"),
            until=call.text("until"),
        )

    async def table(self, call: Call) -> Table:
        """The same, as a table."""
        return Table(
            ("publication", "word", "count", "per_1000_articles"),
            [
                (each.publication.name, each.word.word, each.word.count, round(each.rate, 3))
                for each in await self._rows(_word_in(call))
            ],
        )

    async def months(self, call: Call) -> Table:
        """Its mentions by month, in all publications that have articles with a date."""
        word, period = _word_in(call), call.period()
        publications = await self._reader.publications()
        trends = await self._reader.read(
            lambda store: trends_of(store, [word], publications, period)
        )
        return Table(
            ("publication", "word", "month", "count", "articles"),
            [
                (
                    each.publication.name,
                    each.word.word,
                    month_text(month),
                    each.mentions.get(month, 0),
                    count,
                )
                for each in trends
                for month, count in sorted(each.articles.items())
            ],
        )

    async def _rows(self, word: str) -> list[_Row]:
        if not word:
            return []
        publications = await self._reader.publications()
        return await self._reader.read(lambda store: _rows_of(word, publications, store))


def _word_in(call: Call) -> str:
    return word_of(call.text("word", MAX_WORD))


def _aliases_in(rows: list[_Row]) -> list[tuple[str, int]]:
    """The words that are counted as this one, as they are written, and how often each occurs."""
    names = {each.word: each.name for row in reversed(rows) for each in row.word.aliases}
    counts = Counter[str]()
    for row in rows:
        counts.update({each.word: each.count for each in row.word.aliases})
    return [(names[word], count) for word, count in counts.most_common()]


def _rows_of(word: str, publications: list[Publication], store: ReadableStore) -> list[_Row]:
    by_key = {each.key: each for each in publications}
    found = store.find_words([(key, word) for key in by_key])
    rows = [
        _Row(by_key[key], its, 1000 * its.count / max(1, by_key[key].count))
        for (key, _), its in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.rate, row.publication.key))
