"""A word's page: which publications mention it, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from starlette.responses import Response

from daskingest.months import month_text
from daskingest.stores import Publication, ReadableStore, Word
from daskingest.stores.periods import added, trends_of
from daskingest.text import MAX_WORD, word_of
from daskingest.web.call import Call
from daskingest.web.downloads import Table
from daskingest.web.pages.reader import Reader
from daskingest.web.pages.renderer import Renderer
from daskingest.web.pages.timeline import timeline_of
from daskingest.web.pages.trends import Line, figure_of
from daskingest.web.pictures.over_time import SERIES
from daskingest.web.pictures.picture import Figure
from daskingest.web.wording import short

_LOOKED_AT = 50
"""Publications with the most mentions that are looked at where that is billed."""


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
        rows = await self._rows(word)
        several = await self._lines(call, rows)
        return self._renderer.page(
            "word.html",
            word=word,
            name=rows[0].word.name if rows else word,
            rows=rows,
            aliases=_aliases_in(rows),
            time=timeline_of(call),
            names=[name for name, _, _ in several][:SERIES],
            more=len(several) > SERIES,
            shown=_figure(call, rows, several),
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

    async def months(self, call: Call) -> Figure | None:
        """Its mentions over time, where it is mentioned most."""
        rows = await self._rows(_word_in(call))
        return _figure(call, rows, await self._lines(call, rows))

    async def months_table(self, call: Call) -> Table:
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

    async def _lines(self, call: Call, rows: Sequence[_Row]) -> list[Line]:
        """All publications together, if there are several, then each, by mentions."""
        if not rows:
            return []
        word, period = rows[0].word.word, call.period()
        most = sorted(rows, key=lambda row: -row.word.count)
        shown = [row.publication for row in most[: _LOOKED_AT if self._reader.billed else None]]
        trends = await self._reader.read(lambda store: trends_of(store, [word], shown, period))
        mentioned = [each for each in trends if each.mentions]
        several: list[Line] = [
            (each.publication.name, each.mentions, each.articles) for each in mentioned
        ]
        if len(mentioned) > 1 and len(shown) == len(rows):
            every = await self._reader.article_months()
            together = added(each.mentions for each in mentioned)
            articles = period.of(added(every.values()))
            several.insert(0, ("all publications", together, articles))
        return several

    async def _rows(self, word: str) -> list[_Row]:
        if not word:
            return []
        publications = await self._reader.publications()
        return await self._reader.read(lambda store: _rows_of(word, publications, store))


def _figure(call: Call, rows: Sequence[_Row], several: Sequence[Line]) -> Figure | None:
    if not several:
        return None
    return figure_of(several, short(rows[0].word.name, 60), timeline_of(call))


def _word_in(call: Call) -> str:
    return word_of(call.text("word", MAX_WORD))


def _aliases_in(rows: list[_Row]) -> list[tuple[str, int]]:
    """The words that are counted as this one, as they are written, and how often each occurs."""
    if not any(row.word.aliases for row in rows):
        return []
    names: dict[str, str] = {}
    counts = Counter[str]()
    for row in rows:
        for each in row.word.aliases or (row.word,):
            names.setdefault(each.word, each.name)
            counts[each.word] += each.count
    return [(names[word], count) for word, count in counts.most_common()]


def _rows_of(word: str, publications: list[Publication], store: ReadableStore) -> list[_Row]:
    by_key = {each.key: each for each in publications}
    found = store.find_words([(key, word) for key in by_key])
    rows = [
        _Row(by_key[key], its, 1000 * its.count / max(1, by_key[key].count))
        for (key, _), its in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.rate, row.publication.key))
