"""The overview: what is coming in, the publications, and the words that rose."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from markupsafe import Markup
from starlette.responses import Response

from daskingest.articles import publication_key
from daskingest.months import month_text
from daskingest.service.rates import Rates, Sample
from daskingest.stores import Publication
from daskingest.web.backend import Backend
from daskingest.web.call import Call
from daskingest.web.downloads import Table
from daskingest.web.pages.reader import Reader
from daskingest.web.pages.renderer import Renderer
from daskingest.web.pages.risen import Risen, RisenWords
from daskingest.web.pictures import sparkline
from daskingest.web.problems import Problem
from daskingest.web.rate_lines import rate_lines
from daskingest.web.responses import varied

_PAGE = 24  # publications: a multiple of two, three and four columns
_ORDERS = {"articles": "most articles", "name": "name", "latest": "latest month"}
_GROWN = 4  # times that a cloud is another one's, while a publication's articles double


@dataclass(frozen=True, slots=True)
class _Card:
    """A publication on the page. `version` changes when it has grown by a fifth."""

    publication: Publication
    latest: str
    picture: Markup
    version: int


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Publications that are asked for, in order; how many there are, and which page is shown."""

    q: str
    order: str
    every: list[Publication]
    page: int

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.every) // _PAGE))

    @property
    def shown(self) -> list[Publication]:
        return self.every[(self.page - 1) * _PAGE : self.page * _PAGE]


class Overview:
    """The first page."""

    def __init__(self, backend: Backend, reader: Reader, renderer: Renderer) -> None:
        self._backend, self._reader, self._renderer = backend, reader, renderer
        self._risen = RisenWords(reader)
        self._seen: Rates | None = None

    async def page(self, call: Call) -> Response:
        """The whole page."""
        return await self._shown("overview.html", call)

    async def live(self, call: Call) -> Response:
        """The parts of the page that change, for its script."""
        return await self._shown("live.html", call)

    async def table(self, call: Call) -> Table:
        """The publications."""
        chosen = await self._chosen(call)
        return Table(
            ("publication", "articles"), [(each.name, each.count) for each in chosen.every]
        )

    async def rising(self, call: Call) -> Table:
        """The words that rose."""
        risen = await self._risen.current(await self._articles())
        return Table(
            ("word", "count", "expected", "ratio", "z", "name"),
            [
                (
                    *(each.word, each.count, round(each.expected, 2)),
                    *(round(each.ratio, 3), round(each.z, 3), each.name),
                )
                for each in (risen.words if risen else [])
            ],
        )

    async def _shown(self, template: str, call: Call) -> Response:
        chosen = await self._chosen(call)
        articles = sum(each.count for each in chosen.every)
        total = articles if not chosen.q else await self._articles()
        risen = await self._risen.current(total)
        months = await self._reader.months_of(chosen.shown)
        every = [month for its in months.values() for month in its]
        span = (min(every), max(every)) if every else (0, 0)
        response = self._renderer.page(
            template,
            up=call.up,
            status=self._backend.status(),
            rates=self._rates(total),
            chosen=chosen,
            orders=_ORDERS,
            cards=[_card_of(each, months.get(each.key, {}), span) for each in chosen.shown],
            span=[month_text(month) for month in span] if every else [],
            articles=articles,
            risen=risen,
            risen_lines=_risen_lines(risen),
            working=self._risen.working,
        )
        return varied(response)

    async def _chosen(self, call: Call) -> _Chosen:
        q, order = call.text("q", 200), call.text("sort", 20) or "articles"
        if order not in _ORDERS:
            known = ", ".join(_ORDERS)
            raise Problem(422, f"expected sort to be one of {known}, found {order!r}", "wrong")
        wanted = publication_key(q)
        found = [each for each in await self._reader.publications() if wanted in each.key]
        if order == "name":
            found.sort(key=lambda each: each.key)
        elif order == "latest":
            months = await self._reader.article_months()
            found.sort(key=lambda each: -max(months.get(each.key, {}), default=-math.inf))
        page = call.number("page", 1, 1, 1_000_000)
        return _Chosen(q, order, found, min(page, max(1, -(-len(found) // _PAGE))))

    async def _articles(self) -> int:
        return sum(each.count for each in await self._reader.publications())

    def _rates(self, articles: int) -> Markup:
        """The picture of the last minutes: the service's, or of what the store was seen to have."""
        if self._backend.status() is not None:
            return rate_lines(self._backend.history())
        now = time.monotonic()
        if self._seen is None:
            self._seen = Rates(now, articles)
        self._seen.add(Sample(now, articles, articles))
        history = self._seen.history()
        grows = any(each.saved for each in history)
        return rate_lines(history, arrive=False) if grows else Markup()


def _card_of(publication: Publication, months: dict[int, int], span: tuple[int, int]) -> _Card:
    return _Card(
        publication,
        month_text(max(months)) if months else "",
        sparkline(months, span),
        int(_GROWN * math.log2(max(1, publication.count))),
    )


def _risen_lines(risen: Risen | None) -> dict[str, Markup]:
    if risen is None:
        return {}
    return {
        word: sparkline(months, risen.span, f"mentions of {word}")
        for word, months in risen.months.items()
    }
