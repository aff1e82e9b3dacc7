"""The pages for people: what is coming in, and who writes about whom.

They read a `Source`, and work the same over the service and over a store alone. Whatever comes from
articles is escaped by the templates, and the Content-Security-Policy lets no script run but ours.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import QueryParams
from starlette.responses import FileResponse, Response

from daskingest.articles import publication_key
from daskingest.counts import MAX_WORD, word_of
from daskingest.errors import DaskingestError, StoreError, UsageError
from daskingest.stores import Publication, Store, Word
from daskingest.stores.reading import find_publication
from daskingest.web import charts, text
from daskingest.web.cursors import from_cursor, to_cursor
from daskingest.web.keyness import Typical, typical_words
from daskingest.web.problems import Json, Problem

PAGE = 50
SAMPLED = 1_000
"""Most frequent words that shares and comparisons look at."""
MAX_TEXT = 20_000
"""Characters of an article to try."""
_LISTED = 200  # publications on the overview
_COMPARED = 6
_TYPICAL = 25
_BARS, _CLOUD = 25, 60  # words
_CACHED = 50  # lists of words, of up to half a MB each
_FRESH_SECONDS = 5.0  # how old a list of publications or of words may be
_FRESH_PAID_SECONDS = 60.0  # where reading is billed

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_STATIC = Path(__file__).parent / "static"
_STATIC_FILES = {each.name: each for each in (*_STATIC.iterdir(), charts.bokeh_js())}

PATHS = {
    "/": "_overview",
    "/live": "_live",
    "/publication": "_publication",
    "/chart": "_chart",
    "/cloud.png": "_cloud_png",
    "/compare": "_compare",
    "/word": "_word",
    "/try": "_try",
}
"""The methods of `Pages` that answer, by path."""

T = TypeVar("T")
Found = tuple[int, int, str]


class Source(Protocol):
    """What pages are made from."""

    paid: bool
    """Whether reading the store is billed."""

    async def read(self, work: Callable[[Store], T]) -> T:
        """Ask the store, on a thread that reads. Raises StoreError."""

    async def entities(self, text: str) -> list[Found]:
        """The entities in a text: start, end (characters) and label. Raises DaskingestError."""

    def status(self) -> dict[str, Any] | None:
        """What `/status` says; None where there is no service."""


class Ask(NamedTuple):
    """A request for a page."""

    query: QueryParams
    body: Callable[[int], Awaitable[bytes]]
    """Reads the body, of at most so many bytes. Raises Problem."""

    def text(self, name: str, most: int = 2_000) -> str:
        """A parameter; empty if it isn't there."""
        value = self.query.get(name, "").replace("\0", "")
        return value[:most].encode(errors="ignore").decode()


class _Row(NamedTuple):
    """A word in a publication; `rate` is its mentions per 1,000 articles."""

    publication: Publication
    word: Word
    rate: float


class Pages:
    """Answers for the paths in `PATHS`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept: dict[object, tuple[float, Any]] = {}
        self._cloud = asyncio.Lock()  # one at a time: it takes a core for a while
        self._templates = Environment(
            loader=PackageLoader("daskingest.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name in ("number", "short", "kind", "meaning"):
            self._templates.filters[name] = getattr(text, name)
        self._templates.globals["query"] = text.query

    async def answer(self, path: str, ask: Ask) -> Response:
        """The page at a path, or one that says what is wrong."""
        try:
            response: Response = await getattr(self, PATHS[path])(ask)
        except Problem as problem:
            response = self._problem(problem.status, str(problem))
            response.headers.update(problem.headers)
        except StoreError as error:
            response = self._problem(503, f"{error}; try again later")
        except DaskingestError as error:
            response = self._problem(404, str(error))
        return _secured(response)

    async def download(self, view: str, kind: str, ask: Ask) -> Response:
        """What a page shows, all of it, as a file."""
        from daskingest.web.downloads import table_file

        views = {
            "publications": self._publications_table,
            "publication": self._publication_table,
            "compare": self._compare_table,
            "word": self._word_table,
        }
        if view not in views or kind not in ("csv", "parquet"):
            return self._problem(404, "There is no such download.")
        try:
            header, rows = await views[view](ask)
        except StoreError as error:
            return self._problem(503, f"{error}; try again later")
        except DaskingestError as error:
            return self._problem(404, str(error))
        body = await asyncio.to_thread(table_file, kind, header, rows)
        kinds = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
        response = Response(body, headers={"Content-Type": kinds[kind]})
        response.headers["Content-Disposition"] = f'attachment; filename="{view}.{kind}"'
        return _secured(response)

    def _page(self, template: str, code: int = 200, **values: Any) -> Response:
        known = self._source.status()
        values.setdefault("dashboard", known["dashboard"] if known else "")
        body = self._templates.get_template(template).render(values)
        return Response(body, code, media_type="text/html")

    def _problem(self, code: int, error: str) -> Response:
        titles = {404: "Not found", 503: "Not now", 401: "A key is needed"}
        title = titles.get(code, "That can't be shown")
        page = self._page("problem.html", code, title=title, error=error[:1].upper() + error[1:])
        return _secured(page)

    async def _read(self, key: object, work: Callable[[Store], T]) -> T:
        """Ask the store, or remember what it said a short while ago."""
        now = time.monotonic()
        fresh = _FRESH_PAID_SECONDS if self._source.paid else _FRESH_SECONDS
        if (kept := self._kept.get(key)) is not None and now - kept[0] < fresh:
            value: T = kept[1]
            return value
        value = await self._source.read(work)
        self._kept.pop(key, None)
        self._kept[key] = now, value
        while len(self._kept) > _CACHED:
            del self._kept[next(iter(self._kept))]
        return value

    async def _publications(self) -> list[Publication]:
        if self._source.paid:
            return await self._read("publications", lambda store: store.publications())
        return await self._source.read(lambda store: store.publications())

    async def _named(self, name: str) -> Publication:
        if not name.strip():
            raise UsageError("no publication was named")
        return await self._source.read(lambda store: find_publication(store, name))

    async def _most_frequent(self, publication: Publication, label: str = "") -> list[Word]:
        key = publication.key
        return await self._read(
            (key, label), lambda store: store.words(key, SAMPLED, None, label or None)
        )

    # The overview.

    async def _overview(self, ask: Ask) -> Response:
        return self._page("overview.html", **await self._now(ask))

    async def _live(self, ask: Ask) -> Response:
        return self._page("live.html", **await self._now(ask))

    async def _now(self, ask: Ask) -> dict[str, Any]:
        publications, q = await self._chosen(ask), ask.text("q")
        return {
            "status": self._source.status(),
            "publications": publications[:_LISTED],
            "found": len(publications),
            "articles": sum(each.count for each in publications),
            "q": q,
        }

    async def _chosen(self, ask: Ask) -> list[Publication]:
        wanted = publication_key(ask.text("q"))
        return [each for each in await self._publications() if wanted in each.key]

    async def _publications_table(self, ask: Ask) -> tuple[list[str], list[tuple[Any, ...]]]:
        rows = [(each.name, each.count) for each in await self._chosen(ask)]
        return ["publication", "articles"], [*rows]

    # A publication.

    async def _publication(self, ask: Ask) -> Response:
        publication = await self._named(ask.text("name"))
        key, label = publication.key, ask.text("label", 100)
        q, first = word_of(ask.text("q", MAX_WORD)), 0
        after, following = None, ""
        if ask.text("after"):
            after = from_cursor(ask.text("after"))
            first = int(ask.text("first", 9)) if ask.text("first", 9).isdecimal() else 0
        top = await self._most_frequent(publication)
        if q:
            words = await self._source.read(
                lambda store: store.search(key, q, SAMPLED, label or None)
            )
        else:
            words = await self._source.read(
                lambda store: store.words(key, PAGE + 1, after, label or None)
            )
            if len(words) > PAGE:
                words.pop()
                following = to_cursor(words[-1].count, words[-1].word)
        labels: Counter[str] = Counter()
        for each in top:
            labels.update(each.labels)
        mentions = labels.total()
        nonce = secrets.token_urlsafe(16)
        page = self._page(
            "publication.html",
            nonce=nonce,
            publication=publication,
            words=words,
            labels=sorted({*labels, label} - {""}),
            label=label,
            q=q,
            prefix=self._source.paid,
            most=SAMPLED,
            page=PAGE,
            first=first,
            following=following,
            sampled=len(top),
            shares=[(name, n, n / mentions) for name, n in labels.most_common()],
            bokeh=_bokeh_version(),
        )
        return _secured(page, f"'nonce-{nonce}'")  # for the style sheets that BokehJS makes

    async def _chart(self, ask: Ask) -> Response:
        publication = await self._named(ask.text("name"))
        words = await self._most_frequent(publication, ask.text("label", 100))
        theme = "dark" if ask.text("theme") == "dark" else "light"
        return Json(charts.bars([(each.word, each.count) for each in words[:_BARS]], theme))

    async def _cloud_png(self, ask: Ask) -> Response:
        publication = await self._named(ask.text("name"))
        words = await self._most_frequent(publication, ask.text("label", 100))
        shown = tuple((each.word, each.count) for each in words[:_CLOUD])
        if not shown:
            raise UsageError("there are no words to show")
        async with self._cloud:
            picture = await asyncio.to_thread(charts.cloud, shown)
        return Response(picture, media_type="image/png")

    async def _publication_table(self, ask: Ask) -> tuple[list[str], list[tuple[Any, ...]]]:
        publication = await self._named(ask.text("name"))
        key, label = publication.key, ask.text("label", 100) or None
        q = word_of(ask.text("q", MAX_WORD))

        def every(store: Store) -> list[Word]:
            if q:
                return store.search(key, q, SAMPLED, label)
            words: list[Word] = []
            after = None
            while page := store.words(key, 10_000, after, label):
                words += page
                after = page[-1].count, page[-1].word
            return words

        words = await self._source.read(every)
        rows = [
            (publication.name, each.word, label, count)
            for each in words
            for label, count in sorted(each.labels.items())
        ]
        return ["publication", "word", "label", "count"], [*rows]

    # Comparison.

    async def _compare(self, ask: Ask) -> Response:
        chosen = await self._to_compare(ask)
        return self._page(
            "compare.html",
            chosen=chosen,
            columns=await self._typical(chosen),
            publications=(await self._publications())[:_LISTED],
            sampled=SAMPLED,
            again=text.query(name=[each.key for each in chosen]),
        )

    async def _to_compare(self, ask: Ask) -> list[Publication]:
        chosen: dict[str, Publication] = {}
        for name in ask.query.getlist("name")[: 2 * _COMPARED]:
            if name.strip():
                found = await self._named(Ask(QueryParams([("name", name)]), ask.body).text("name"))
                chosen[found.key] = found
        if len(chosen) > _COMPARED:
            raise Problem(
                422, f"at most {_COMPARED} publications can be compared at once", "too many"
            )
        return list(chosen.values())

    async def _typical(
        self, publications: list[Publication]
    ) -> list[tuple[Publication, list[Typical]]]:
        if len(publications) < 2:
            return []
        counts: dict[str, dict[str, int]] = {}
        for each in publications:
            frequent = await self._most_frequent(each)
            counts[each.key] = {word.word: word.count for word in frequent}
        every = sorted(set().union(*counts.values()))
        missing = [
            (key, word) for key, known in counts.items() for word in every if word not in known
        ]
        for (key, word), found in (
            await self._source.read(lambda store: store.look_up(missing))
        ).items():
            counts[key][word] = found.count
        best = await asyncio.to_thread(typical_words, counts, _TYPICAL)
        return [(each, best[each.key]) for each in publications]

    async def _compare_table(self, ask: Ask) -> tuple[list[str], list[tuple[Any, ...]]]:
        columns = await self._typical(await self._to_compare(ask))
        rows = [
            (publication.name, each.word, each.count, each.elsewhere, round(each.z, 3))
            for publication, words in columns
            for each in words
        ]
        return ["publication", "word", "count", "elsewhere", "z"], [*rows]

    # A word.

    async def _word(self, ask: Ask) -> Response:
        word = word_of(ask.text("word", MAX_WORD))
        return self._page("word.html", word=word, rows=await self._rows_of(word))

    async def _rows_of(self, word: str) -> list[_Row]:
        if not word:
            return []
        publications = {each.key: each for each in await self._publications()}
        pairs = [(key, word) for key in publications]
        found = await self._source.read(lambda store: store.look_up(pairs))
        rows = [
            _Row(publications[key], its, 1000 * its.count / max(1, publications[key].count))
            for (key, _), its in found.items()
        ]
        return sorted(rows, key=lambda row: (-row.rate, row.publication.key))

    async def _word_table(self, ask: Ask) -> tuple[list[str], list[tuple[Any, ...]]]:
        rows = [
            (each.publication.name, each.word.word, each.word.count, round(each.rate, 3))
            for each in await self._rows_of(word_of(ask.text("word", MAX_WORD)))
        ]
        return ["publication", "word", "count", "per_1000_articles"], [*rows]

    # An article to try.

    async def _try(self, ask: Ask) -> Response:
        body = await ask.body(12 * MAX_TEXT)  # a character takes up to 12 bytes, as %XX
        sent = parse_qs(body.decode("latin-1"), errors="replace").get("text", [""])[0]
        sent = sent.replace("\r\n", "\n").replace("\0", "")
        if len(sent) > MAX_TEXT:
            raise Problem(
                413, f"expected up to {MAX_TEXT:,} characters, found {len(sent):,}", "too large"
            )
        if not sent.strip():
            return self._page("try.html", text="", most=MAX_TEXT, pieces=None, count=0)
        found = await self._source.entities(sent)
        pieces, at = [], 0
        for start, end, label in found:
            pieces += [(sent[at:start], ""), (sent[start:end], label)]
            at = end
        pieces.append((sent[at:], ""))
        return self._page("try.html", text=sent, most=MAX_TEXT, pieces=pieces, count=len(found))


def static_file(name: str) -> Response:
    """One of the files that pages need."""
    path = _STATIC_FILES.get(name)
    if path is None:
        return Json({"error": "there is no such file"}, 404)
    response = _secured(FileResponse(path))
    response.headers["Cache-Control"] = "max-age=3600"
    return response


def _secured(response: Response, styles: str = "") -> Response:
    """With headers that let nothing run or load but what is ours."""
    response.headers.update(_HEADERS)
    if "Content-Security-Policy" not in response.headers:
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'self'; style-src 'self' {styles}; img-src 'self'; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    return response


def _bokeh_version() -> str:
    import bokeh

    version: str = bokeh.__version__
    return version
