"""A publication's page: its words, their chart, and the shares of the labels."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from starlette.responses import Response

from daskingest.counts import MAX_WORD, word_of
from daskingest.months import month_text
from daskingest.stores import Months, Publication, Store, Word
from daskingest.stores.periods import Period, words_within
from daskingest.web import charts
from daskingest.web.call import Call
from daskingest.web.cursors import from_cursor, to_cursor
from daskingest.web.downloads import Table
from daskingest.web.pages.reader import SAMPLED, Reader
from daskingest.web.pages.renderer import Renderer
from daskingest.web.pictures import Series, columns
from daskingest.web.responses import JSON_TYPE, json_bytes, secured

_PAGE = 50  # words
_BARS = 25  # words
_BLOCK = 10_000  # words that are read at a time if all are wanted
_MAX_LABEL = 100  # characters


class _PageRequest(NamedTuple):
    """Which of a publication's words are asked for: those that contain a text, or have a label."""

    key: str
    text: str
    label: str | None


class PublicationPage:
    """The page of one publication, and its charts."""

    def __init__(self, reader: Reader, renderer: Renderer) -> None:
        self._reader, self._renderer = reader, renderer
        self._drawing_chart = asyncio.Lock()  # one at a time: it takes a core for a while

    async def page(self, call: Call) -> Response:
        """A page of its words: those that contain a text, or those after a cursor."""
        publication = await self._reader.named(call.text("name"))
        request, period = _request_of(publication, call), call.period()
        words, following = await self._words(request, call.text("after"), period)
        first = call.text("first", 9) if call.text("after") else ""
        months = await self._articles(publication, period)
        nonce = secrets.token_urlsafe(16)
        page = self._renderer.page(
            "publication.html",
            nonce=nonce,
            publication=publication,
            words=words,
            label=request.label or "",
            q=request.text,
            prefix=self._reader.billed,
            limit=SAMPLED,
            page=_PAGE,
            first=int(first) if first.isdecimal() else 0,
            articles=sum(months.values()) if period else publication.count,
            picture=columns(Series("articles", months), "Articles by month"),
            since=call.text("since"),
            until=call.text("until"),
            following=following,
            bokeh=charts.bokeh_version(),
            **_shares(await self._reader.most_frequent(publication), request.label),
        )
        return secured(page, f"'nonce-{nonce}'")  # for the style sheets that BokehJS creates

    async def chart(self, call: Call) -> Response:
        """Its most frequent words as a bar chart, for BokehJS."""
        words = await self._most_frequent(call)
        theme = "dark" if call.text("theme") == "dark" else "light"
        async with self._drawing_chart:
            chart = await asyncio.to_thread(lambda: json_bytes(charts.bars(words[:_BARS], theme)))
        return Response(chart, media_type=JSON_TYPE)

    async def table(self, call: Call) -> Table:
        """All the words that the page would show, page by page."""
        publication = await self._reader.named(call.text("name"))
        request, period = _request_of(publication, call), call.period()
        if period:
            words, _ = await self._words(request, "", period)
            within = [(publication.name, each.word, each.count, each.name) for each in words]
            return Table(("publication", "word", "count", "name"), [*within])
        rows = await self._reader.read(
            lambda store: [
                (publication.name, each.word, label, count, each.name)
                for each in _all_words(store, request)
                for label, count in sorted(each.labels.items())
            ]
        )
        return Table(("publication", "word", "label", "count", "name"), [*rows])

    async def months(self, call: Call) -> Table:
        """Its articles by month, of those that have a date."""
        publication = await self._reader.named(call.text("name"))
        months = await self._articles(publication, call.period())
        rows = [(publication.name, month_text(month), count) for month, count in months.items()]
        return Table(("publication", "month", "articles"), [*rows])

    async def _articles(self, publication: Publication, period: Period) -> Months:
        key = publication.key
        found = await self._reader.read(lambda store: store.article_months(key))
        return dict(sorted(period.of(found.get(key, {})).items()))

    async def _words(
        self, request: _PageRequest, cursor: str, period: Period
    ) -> tuple[list[Word], str]:
        """A page of words, and the cursor for the next one; empty: there is none.

        Those of some months are one page.
        """
        key, text, label = request
        if period:
            within, _ = await self._reader.read(
                lambda store: words_within(store, key, period, SAMPLED, label)
            )
            return [each for each in within if text in each.word][: 4 * _PAGE], ""
        if text:
            found = await self._reader.read(lambda store: store.search(key, text, SAMPLED, label))
            return found, ""
        after = from_cursor(cursor) if cursor else None
        words = await self._reader.read(lambda store: store.words(key, _PAGE + 1, after, label))
        if len(words) <= _PAGE:
            return words, ""
        words.pop()
        return words, to_cursor(words[-1].count, words[-1].word)

    async def _most_frequent(self, call: Call) -> list[tuple[str, int]]:
        publication = await self._reader.named(call.text("name"))
        label = call.text("label", _MAX_LABEL)
        words = await self._reader.most_frequent(publication, label)
        return [(each.name, each.count) for each in words]


def _request_of(publication: Publication, call: Call) -> _PageRequest:
    label = call.text("label", _MAX_LABEL)
    return _PageRequest(publication.key, word_of(call.text("q", MAX_WORD)), label or None)


def _all_words(store: Store, request: _PageRequest) -> Iterator[Word]:
    if request.text:
        yield from store.search(request.key, request.text, SAMPLED, request.label)
        return
    after = None
    while page := store.words(request.key, _BLOCK, after, request.label):
        yield from page
        after = page[-1].count, page[-1].word


def _shares(words: list[Word], label: str | None) -> dict[str, object]:
    """The labels of the most frequent words and their shares; `label` is always listed."""
    labels: Counter[str] = Counter()
    for each in words:
        labels.update(each.labels)
    mentions = labels.total()
    return {
        "sampled": len(words),
        "labels": sorted({*labels, label or ""} - {""}),
        "shares": [(name, count, count / mentions) for name, count in labels.most_common()],
    }
