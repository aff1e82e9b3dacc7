"""The application over a store alone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.service.trials import MAX_TEXT
from daskingest.settings import ServeSettings
from daskingest.stores import open_store
from daskingest.web.app import create_app
from daskingest.web.endpoint import Endpoint
from daskingest.web.read import Queries
from daskingest.web.store_alone import open_store_alone

Ask = Callable[..., httpx.Response]


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/s.db"
    counts = Counts()
    found = [(f"city {i:02}", "GPE") for i in range(60)] + [("paris", "GPE")]
    counts.add_article("The <i>Post</i>", found)
    counts.add_article("The Herald", [("paris", "GPE"), ("paris", "PERSON"), ("=1", "ORG")])
    with open_store(url, create=True) as opened:
        opened.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    return url


def asker(url: str, keys: tuple[str, ...] = ()) -> Ask:
    """Asks the application, which lives for one request."""

    def ask(path: str, method: str = "GET", **options: object) -> httpx.Response:
        async def request() -> httpx.Response:
            app = create_app(ServeSettings(keys=keys), open_store_alone(url, "no model", False))
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://there") as http,
            ):
                return await http.request(method, path, **options)  # type: ignore[arg-type]

        return asyncio.run(request())

    return ask


@pytest.fixture
def ask(store: str) -> Ask:
    return asker(store)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "The Herald"),
        ("/?q=herald", "1 publication, 1 article."),
        ("/live", "2 publications, 2 articles"),
        ("/publication?name=the+herald", "paris"),
        ("/publication?name=the+herald&q=PAR", "1 word, most frequent first"),
        ("/publication?name=the+herald&label=ORG", "Words 1 to 1,"),
        ("/compare", "Choose two or more publications"),
        ("/compare?name=the+herald&name=the+%3Ci%3Epost%3C%2Fi%3E", "Monroe"),
        ("/word?word=paris", "In 2 publications, 3 mentions"),
        ("/try", "Find the entities"),
    ],
)
def test_pages(ask: Ask, path: str, text: str) -> None:
    answer = ask(path)
    assert answer.status_code == 200
    assert text in answer.text
    assert "<i>" not in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"]


def test_pages_of_words_follow_each_other(ask: Ask) -> None:
    first = ask("/publication?name=the+%3Ci%3Epost%3C%2Fi%3E").text
    assert "Words 1 to 50," in first
    following = first.partition('rel="next" href="')[2].partition('"')[0]
    second = ask(following.replace("&amp;", "&")).text
    assert "Words 51 to 61," in second
    assert "First page" in second
    assert ask("/publication?name=the+herald&after=x").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/nothing", 404, "There is no page"),
        ("GET", "/articles", 404, "There is no page"),
        ("POST", "/articles", 404, "There is no page"),
        ("GET", "/status", 404, "There is no page"),
        ("GET", "/openapi.json", 404, "There is no page"),
        ("POST", "/", 405, "Expected the method GET, HEAD, found POST"),
        ("GET", "/publication?name=nobody", 404, "No publication"),
        ("GET", "/publication", 404, "No publication was named"),
        ("GET", "/cloud.svg?name=nobody", 404, "No publication"),
        ("GET", "/?sort=size", 422, "Expected sort to be one of articles, name, latest"),
        ("GET", "/?page=0", 422, "Expected page to be a whole number from 1"),
        ("GET", "/download/secrets.csv", 404, "There is no such download"),
        ("GET", "/download/word.exe", 404, "There is no such download"),
    ],
)
def test_problems_are_pages(ask: Ask, method: str, path: str, status: int, text: str) -> None:
    answer = ask(path, method)
    assert answer.status_code == status
    assert text in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"]


def test_keys(store: str) -> None:
    ask = asker(store, keys=("secret",))
    refused = ask("/")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert "A key is needed" in refused.text
    assert "Herald" not in refused.text
    assert "Herald" in ask("/", auth=("anybody", "secret")).text
    assert ask("/download/word.csv?word=paris").status_code == 401
    assert ask("/static/style.css").status_code == 200


def test_files(ask: Ask) -> None:
    style = ask("/static/style.css")
    assert style.headers["cache-control"] == "max-age=3600"
    assert style.headers["x-content-type-options"] == "nosniff"
    assert ask("/static/app.py").json() == {"error": "there is no such file"}
    table = ask("/download/publication.csv?name=the+herald")
    assert (
        table.headers["content-disposition"] == 'attachment; filename="publication-the-herald.csv"'
    )
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert "The Herald,paris,PERSON,1,paris\r\nThe Herald,'=1,ORG,1,'=1\r\n" in table.text
    assert len(ask("/download/publications.csv").text.splitlines()) == 3
    assert len(ask("/download/compare.csv?name=the+herald").text.splitlines()) == 1


def test_texts_that_are_too_long_to_try(ask: Ask) -> None:
    assert ask("/try", "POST", data={"text": "é" * MAX_TEXT + "a"}).status_code == 413
    assert ask("/try", "POST", content=b"x" * 300_000).status_code == 413
    assert ask("/try", "POST", data={"text": "  "}).status_code == 200
    without_model = ask("/try", "POST", data={"text": "Angela Merkel"})
    assert without_model.status_code == 404
    assert "is not a spaCy model" in without_model.text


def test_a_store_that_is_gone(tmp_path: Path) -> None:
    answer = asker(f"sqlite:///{tmp_path}/none.db")("/")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "Not available now" in answer.text


def written(folder: Path, counts: Counts) -> str:
    """The URL of a new store with these counts."""
    url = f"sqlite:///{folder}/written.db"
    with open_store(url, create=True) as opened:
        opened.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    return url


def test_words_that_rose(tmp_path: Path) -> None:
    counts = Counts()
    for month in range(15):
        for _ in range(2):
            found = [("paris", "GPE"), *([("new party", "ORG")] * 4 if month >= 12 else [])]
            counts.add_article("The Post", found, 600 + month)
    ask = asker(written(tmp_path, counts))
    page = ask("/").text
    assert "Words that rose" in page
    assert "Mentions from 2021-01 to 2021-03, in 1 publication, and how many" in page
    assert '<a href="word?word=new+party">' in page.partition("Words that rose")[2]
    rows = ask("/download/rising.csv").text.splitlines()
    assert rows == ["word,count,expected,ratio,z,name", "new party,24,0.0,5.8,9.798,new party"]


def test_thousands_of_publications(tmp_path: Path) -> None:
    """They are on pages, each of them once, in each order, and found by name."""
    counts = Counts()
    for number in range(3_000):
        for _ in range(1 + number % 3):
            counts.add_article(f"Paper {number:04}", [("paris", "GPE")], 600 + number % 7)
    ask = asker(written(tmp_path, counts))
    names = re.compile(r"<bdi>(Paper \d+)</bdi>")
    first, second = (names.findall(ask(f"/?page={page}").text) for page in (1, 2))
    assert len(first) == len(second) == 24
    assert not set(first) & set(second)
    assert "Page 125 of 125" in ask("/?page=999").text
    assert names.findall(ask("/?sort=name&page=2").text)[0] == "Paper 0024"
    assert names.findall(ask("/?sort=latest").text)[0] == "Paper 0020"
    assert names.findall(ask("/?sort=articles&q=123").text)[:2] == ["Paper 1232", "Paper 1235"]
    following = re.search(r'rel="next" href="([^"]+)"', ask("/?sort=name&q=paper").text)
    assert following is not None
    found = ask("/" + html.unescape(following[1]).removeprefix("./")).text
    assert names.findall(found)[0] == "Paper 0024"


def test_a_cloud_has_its_colours_and_is_kept_a_minute(ask: Ask) -> None:
    answer = ask("/cloud.svg?name=the+herald")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "private, max-age=60"
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert 'href="word?word=paris"' in answer.text
    assert "no names yet" in ask("/cloud.svg?name=the+herald&label=X").text


def test_a_publication_whose_key_was_made_before_names_were_composed_is_found(store: str) -> None:
    earlier = "su\u0308ddeutsche"
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE publications SET key = ? WHERE key = 'the herald'", (earlier,))
    for typed in (earlier.title(), "  su\u0308ddeutsche "):
        path = quote(typed)
        assert queried(store, f"/entities/{path}?limit=1")["entities"][0]["word"] == "paris"
        assert queried(store, f"/frequencies/{path}")[0]["word"] == "paris"
        assert "paris" in asker(store)(f"/publication?name={path}").text
    assert "no publication" in str(queried(store, "/entities/none"))
    assert queried(store, "/frequencies/none") == []
    assert queried(store, "/trends?word=paris&publication=none") == []


def queried(url: str, path: str) -> Any:
    """What programs are answered, who can ask a service only."""

    async def request() -> httpx.Response:
        async with open_store_alone(url, "no model", False) as backend:
            queries = Queries(backend)
            routes = [
                Route(path, Endpoint(route=path, handler=handler, methods=("GET",)))
                for path, handler in {
                    "/entities/{publication:path}": queries.entities,
                    "/frequencies/{publication:path}": queries.frequencies,
                    "/trends": queries.trends,
                }.items()
            ]
            transport = httpx.ASGITransport(Starlette(routes=routes))
            async with httpx.AsyncClient(transport=transport, base_url="http://there") as http:
                return await http.get(path)

    return asyncio.run(request()).json()
