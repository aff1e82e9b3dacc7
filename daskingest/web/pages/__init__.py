"""The web pages: what is coming in, and who writes about whom.

They are rendered from a `Backend`, and are the same over a service and over a store alone. The
templates escape whatever comes from articles, and the Content-Security-Policy allows only our own
scripts.
"""

from __future__ import annotations

from collections.abc import Mapping

from daskingest.web.backend import Backend
from daskingest.web.downloads import Downloads, View
from daskingest.web.endpoint import Audience, Handler
from daskingest.web.pages.clouds import Clouds
from daskingest.web.pages.comparison import Comparison
from daskingest.web.pages.overview import Overview
from daskingest.web.pages.publication import PublicationPage
from daskingest.web.pages.reader import Reader
from daskingest.web.pages.renderer import Renderer
from daskingest.web.pages.trial import Trial
from daskingest.web.pages.word import WordPage


class Pages:
    """The pages over a backend."""

    def __init__(self, backend: Backend) -> None:
        reader, renderer = Reader(backend), Renderer(backend)
        clouds = Clouds(reader)
        overview = Overview(backend, reader, renderer)
        publication = PublicationPage(reader, renderer)
        comparison = Comparison(reader, renderer)
        word = WordPage(reader, renderer)
        downloads = Downloads(
            {
                "publications": View(overview.table),
                "rising": View(overview.rising),
                **publication.views(),
                "compare": View(comparison.table, comparison.placed),
                "compare-months": View(comparison.months_table, comparison.months),
                "word": View(word.table),
                "word-months": View(word.months_table, word.months),
            }
        )
        self.audience = Audience(renderer.problem, in_browsers=True)
        """For people: problems are pages too."""
        self.shown: Mapping[str, Handler] = {
            "/": overview.page,
            "/live": overview.live,
            "/publication": publication.page,
            "/cloud.svg": clouds.picture,
            "/compare": comparison.page,
            "/word": word.page,
            "/download/{view}.{kind}": downloads.file,
        }
        """Handlers by path, for GET."""
        self.asked: Mapping[str, Handler] = {"/try": Trial(backend, renderer).page}
        """Handlers by path, for GET and for POST with a form."""
