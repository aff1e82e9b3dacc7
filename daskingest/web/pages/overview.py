"""The overview: what is coming in, and the publications."""

from __future__ import annotations

from starlette.responses import Response

from daskingest.articles import publication_key
from daskingest.stores import Publication
from daskingest.web.backend import Backend
from daskingest.web.call import Call
from daskingest.web.downloads import Table
from daskingest.web.pages.reader import Reader
from daskingest.web.pages.renderer import Renderer
from daskingest.web.pictures import sparkline

LISTED = 200
"""Publications that a page lists."""


class Overview:
    """The first page."""

    def __init__(self, backend: Backend, reader: Reader, renderer: Renderer) -> None:
        self._backend, self._reader, self._renderer = backend, reader, renderer

    async def page(self, call: Call) -> Response:
        """The whole page."""
        return await self._shown("overview.html", call)

    async def live(self, call: Call) -> Response:
        """The part of the page that changes, for its script."""
        return await self._shown("live.html", call)

    async def table(self, call: Call) -> Table:
        """The publications."""
        chosen = await self._chosen(call)
        return Table(("publication", "articles"), [(each.name, each.count) for each in chosen])

    async def _shown(self, template: str, call: Call) -> Response:
        publications = await self._chosen(call)
        months = await self._reader.article_months()
        shown = {each.key: months[each.key] for each in publications[:LISTED] if each.key in months}
        every = [month for its in shown.values() for month in its]
        span = (min(every), max(every)) if every else (0, 0)
        return self._renderer.page(
            template,
            status=self._backend.status(),
            publications=publications[:LISTED],
            sparklines={key: sparkline(its, span) for key, its in shown.items()},
            found=len(publications),
            articles=sum(each.count for each in publications),
            q=call.text("q"),
        )

    async def _chosen(self, call: Call) -> list[Publication]:
        wanted = publication_key(call.text("q"))
        return [each for each in await self._reader.publications() if wanted in each.key]
