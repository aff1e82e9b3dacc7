"""The word clouds of publications: each drawn once, and again when the publication has grown."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import NamedTuple

from starlette.responses import Response

from daskingest.stores import Publication, Word
from daskingest.stores.periods import Period
from daskingest.web.call import Call
from daskingest.web.cloud import STYLE_SOURCE, cloud, names
from daskingest.web.pages.reader import Reader
from daskingest.web.responses import secured

_WORDS, _READ = 40, 60  # shown, and read, for some may be numbers
_KEPT = 1_000  # clouds, of some 10 kB each
_FRESH_SECONDS = 60  # in which a cloud is not drawn again, however much is counted
_FRESH_BILLED_SECONDS = 3_600
_MAX_LABEL = 100  # characters


class _Drawn(NamedTuple):
    """A cloud, how many articles it shows, and when it was drawn."""

    picture: str
    articles: int
    at: float


class Clouds:
    """Answers `/cloud.svg` with a publication's most frequent words, under all labels or one."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._fresh = _FRESH_BILLED_SECONDS if reader.billed else _FRESH_SECONDS
        self._drawn: dict[tuple[str, str, Period], _Drawn] = {}
        self._drawing = asyncio.Lock()  # one at a time: each takes a core for a while

    async def picture(self, call: Call) -> Response:
        """The cloud, which is at most a minute old, or an hour where reading is billed."""
        publication = await self._reader.named(call.text("name"))
        label, period = call.text("label", _MAX_LABEL), call.period()
        async with self._drawing:
            picture = await self._cloud(publication, label, period)
        headers = {"Cache-Control": f"private, max-age={_FRESH_SECONDS}"}
        response = Response(picture, media_type="image/svg+xml", headers=headers)
        return secured(response, STYLE_SOURCE)

    async def _cloud(self, publication: Publication, label: str, period: Period) -> str:
        key, now = (publication.key, label, period), time.monotonic()
        known = self._drawn.pop(key, None)
        if known is None or (known.articles != publication.count and now - known.at > self._fresh):
            words = await self._words(publication, label, period)
            words = words[:_WORDS] if label else names(words, _WORDS)
            what = f"Word cloud of {publication.name}"
            picture = await asyncio.to_thread(cloud, words, what)
            known = _Drawn(picture, publication.count, now)
        self._drawn[key] = known
        while len(self._drawn) > _KEPT:
            del self._drawn[next(iter(self._drawn))]
        return known.picture

    async def _words(self, publication: Publication, label: str, period: Period) -> list[Word]:
        """The most frequent words; those of a period have the labels of all times."""
        key = publication.key
        if not period:
            return await self._reader.read(
                lambda store: store.words(key, _READ, None, label or None)
            )
        words = (await self._reader.most_frequent(publication, label, period))[:_READ]
        pairs = [(key, each.word) for each in words]
        known = await self._reader.read(lambda store: store.find_words(pairs))
        return [replace(each, labels=known[key, each.word].labels) for each in words]
