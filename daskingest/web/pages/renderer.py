"""Renders templates as responses."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from daskingest.months import month_text
from daskingest.web import wording
from daskingest.web.backend import Backend
from daskingest.web.problems import Problem

_TITLES = {
    401: "A key is needed",
    404: "Not found",
    405: "Not possible here",
    500: "Something went wrong",
    503: "Not available now",
}


class Renderer:
    """Renders the templates. All values are escaped.

    Links are relative, so that they work under whatever path a proxy puts the pages: all pages are
    at the same depth. Those of the overview, which may lack its slash, and of what says that
    something is wrong begin with `up`.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._templates = Environment(
            loader=PackageLoader("daskingest.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            number=wording.number,
            short=wording.short,
            kind=wording.kind,
            meaning=wording.meaning,
            month=month_text,
            months=wording.months,
        )
        self._templates.globals["query"] = wording.query

    def page(self, template: str, /, **values: object) -> Response:
        """A page, with a link to the Dask dashboard if there is one."""
        source = self._backend
        tries = source.trials is not None
        shown: dict[str, object] = {"dashboard": source.dashboard, "tries": tries, "up": ""}
        return self._render(template, 200, **{**shown, **values})

    def problem(self, problem: Problem) -> Response:
        """A page that says what is wrong, and nothing else: the reader may have no key."""
        error = str(problem)
        title = _TITLES.get(problem.status, "This can't be shown")
        response = self._render(
            "problem.html",
            problem.status,
            dashboard="",
            tries=False,
            up=problem.up,
            title=title,
            error=error[:1].upper() + error[1:],
        )
        response.headers.update(problem.headers)
        return response

    def _render(self, template: str, status: int, /, **values: object) -> Response:
        body = self._templates.get_template(template).render(values)
        return Response(body, status, media_type="text/html")
