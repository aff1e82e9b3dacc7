"""A word's page: which publications mention it."""

from __future__ import annotations

from typing import NamedTuple

from starlette.responses import Response

from daskingest.counts import MAX_WORD, word_of
from daskingest.stores import Publication, Store, Word
from daskingest.web.call import Call
from daskingest.web.downloads import Table
from daskingest.web.pages.reader import Reader
from daskingest.web.pages.renderer import Renderer


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
        name = rows[0].word.name if rows else word
        return self._renderer.page("word.html", word=word, name=name, rows=rows)

    async def table(self, call: Call) -> Table:
        """The same, as a table."""
        return Table(
            ("publication", "word", "count", "per_1000_articles"),
            [
                (each.publication.name, each.word.word, each.word.count, round(each.rate, 3))
                for each in await self._rows(_word_in(call))
            ],
        )

    async def _rows(self, word: str) -> list[_Row]:
        if not word:
            return []
        publications = await self._reader.publications()
        return await self._reader.read(lambda store: _rows_of(word, publications, store))


def _word_in(call: Call) -> str:
    return word_of(call.text("word", MAX_WORD))


def _rows_of(word: str, publications: list[Publication], store: Store) -> list[_Row]:
    by_key = {each.key: each for each in publications}
    found = store.find_words([(key, word) for key in by_key])
    rows = [
        _Row(by_key[key], its, 1000 * its.count / max(1, by_key[key].count))
        for (key, _), its in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.rate, row.publication.key))
