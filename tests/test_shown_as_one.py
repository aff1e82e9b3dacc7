"""Several words as one, where they are shown: commands, pages, the reading requests, notebooks."""

from __future__ import annotations

import asyncio
import csv
import html
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from typer.testing import CliRunner

import daskingest
from daskingest.cli.app import app
from daskingest.counts import Counts
from daskingest.errors import UsageError
from daskingest.ledger import BatchId, Counted
from daskingest.settings import ServeSettings
from daskingest.shown import NEWS, NO_ALIASES
from daskingest.stores import open_store
from daskingest.stores.aliases import aliases_from
from daskingest.web.app import create_app
from daskingest.web.call import Call
from daskingest.web.read import Queries
from daskingest.web.store_alone import open_store_alone

JUNE = 557


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/s.db"
    counts = Counts()
    counts.add_article("The Post", [("U.S.", "GPE")] * 3 + [("US", "GPE"), ("Us", "ORG")], JUNE)
    counts.add_article("The Post", [("Rome", "GPE")] * 4, JUNE + 1)
    counts.add_article("Herald", [("the United States", "GPE"), ("Rome", "GPE")], JUNE)
    with open_store(url, create=True) as opened:
        opened.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    return url


def called(store: str, *arguments: str) -> tuple[str, str]:
    """What a command prints, and what it notes beside it."""
    done = CliRunner().invoke(app, [*arguments, "--store", store])
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_top(store: str) -> None:
    words = json.loads(called(store, "top", "the post", "--json")[0])
    assert [(each["word"], each["count"], each.get("aliases")) for each in words] == [
        ("the united states", 5, ["u.s.", "us"]),
        ("rome", 4, None),
    ]
    shown, noted = called(store, "top", "the post")
    assert re.search(r"the United States +5 +GPE 4, ORG 1", shown)
    assert "the United States: counted as U.S., US\n" in noted
    assert "--aliases none counts each alone" in noted
    shown, noted = called(store, "top", "the post", "--aliases", "none")
    assert [line.split()[0] for line in shown.splitlines()] == ["word", "Rome", "U.S.", "US"]
    assert noted == ""
    within = json.loads(called(store, "top", "the post", "--until", "2016-06", "--json")[0])
    assert [(each["name"], each["count"]) for each in within] == [("the United States", 5)]


def test_trend(store: str) -> None:
    for words in (["us"], ["US", "u.s."], ["usa"]):
        found = json.loads(called(store, "trend", *words, "--json")[0])
        assert [(each["word"], each["publication"]) for each in found] == [
            ("the united states", "The Post"),
            ("the united states", "Herald"),
        ]
        assert found[0]["aliases"] == ["u.s.", "us"]
        assert [each["count"] for each in found[0]["months"]] == [5, 0]
    shown, noted = called(store, "trend", "us", "nobody")
    assert shown.split("\n")[0].strip() == "the United States"
    assert noted.count("no article with a date mentions") == 1
    [alone] = json.loads(called(store, "trend", "us", "--json", "--aliases", "none")[0])
    assert (alone["word"], alone["months"][0]["count"]) == ("us", 2)


def test_export(store: str, tmp_path: Path) -> None:
    def rows(*options: str) -> list[list[str]]:
        called(store, "export", str(tmp_path / "out.csv"), *options)
        with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))[1:]

    assert [row[1] for row in rows()] == ["rome", "the united states", "rome", "u.s.", "us", "us"]
    assert rows("--aliases", "news")[3:] == [
        ["The Post", "the united states", "GPE", "4", "the United States"],
        ["The Post", "the united states", "ORG", "1", "the United States"],
    ]
    assert rows("--aliases", "news", "--by", "month")[-1] == [
        *("The Post", "the united states", "2016-06", "5")
    ]


def test_a_list_of_ones_own(store: str, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text("word,name\nrome,Roma\nus,Roma\n")
    words = json.loads(called(store, "top", "the post", "--json", "--aliases", str(names))[0])
    assert [(each["name"], each["count"]) for each in words] == [("Roma", 6), ("U.S.", 3)]
    names.write_text("word,name\nrome,Roma\nroma,Rom\n")
    for command in (["top", "the post"], ["trend", "us"], ["export", "-"], ["explore"]):
        done = CliRunner().invoke(app, [*command, "--store", store, "--aliases", str(names)])
        assert isinstance(done.exception, UsageError)
        assert "'roma' is counted as 'Rom' here, and as 'Roma' in line 2" in str(done.exception)


def test_in_notebooks(store: str) -> None:
    assert len(daskingest.words(store)) == 6
    merged = daskingest.words(store, "The Post", aliases="news")
    assert merged[["word", "label", "count", "name"]].to_numpy().tolist() == [
        ["rome", "GPE", 4, "Rome"],
        ["the united states", "GPE", 4, "the United States"],
        ["the united states", "ORG", 1, "the United States"],
    ]
    by_month = daskingest.words(store, "The Post", by="month", aliases="news")
    assert by_month["count"].tolist() == [4, 5]
    assert daskingest.trend("us", store=store)["count"].tolist() == [5, 0, 1]
    assert daskingest.trend("us", store=store, aliases="none")["count"].tolist() == [2, 0]


def page(url: str, path: str, chosen: str = NEWS) -> str:
    """The text of a page."""

    async def request() -> httpx.Response:
        backend = open_store_alone(url, "no model", False, aliases=aliases_from(chosen))
        application = create_app(ServeSettings(), backend)
        async with (
            application.router.lifespan_context(application),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(application), base_url="http://there"
            ) as http,
        ):
            return (await http.get(path)).raise_for_status()

    return html.unescape(asyncio.run(request()).text)


def plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", "", text).split())


def test_pages(store: str) -> None:
    words = plain(page(store, "/publication?name=the+post"))
    assert "the United States U.S., US5" in words
    for word in ("us", "u.s.", "the+united+states", "usa"):
        text = page(store, f"/word?word={word}")
        assert "<h1><bdi>the United States</bdi></h1>" in text
        assert "Counted as one: U.S. 3, US 2, the United States 1." in plain(text)
        assert "In 2 publications, 6 mentions" in plain(text)
    assert "us,The Post" not in page(store, "/download/word.csv?word=us")
    assert "The Post,the united states,5," in page(store, "/download/word.csv?word=us")
    assert "The Post,the united states,2016-06,5,1" in page(
        store, "/download/word-months.csv?word=us"
    )
    compared = page(store, "/compare?name=the+post&name=herald")
    assert "word?word=the+united+states" in compared
    assert "word?word=us" not in compared
    alone = page(store, "/word?word=us", NO_ALIASES)
    assert "Counted as one" not in alone
    assert "In 1 publication, 2 mentions" in plain(alone)


def asked(url: str, query: str, handler: Callable[[Queries], Any], key: str = "") -> Any:
    """What a reading request is answered."""

    async def ask() -> Response:
        scope = {
            "type": "http",
            "headers": [],
            "path": "/",
            "query_string": query.encode(),
            "path_params": {"publication": key},
        }
        async with open_store_alone(url, "no model", False, aliases=aliases_from(NEWS)) as backend:
            answer: Awaitable[Response] = handler(Queries(backend))(Call(scope, _nothing))
            return await answer

    return json.loads(bytes(asyncio.run(ask()).body))


async def _nothing() -> Any:
    return {"type": "http.request", "body": b""}


def test_reading_requests(store: str) -> None:
    first = asked(store, "limit=1", lambda queries: queries.entities, "the post")
    assert first["entities"] == [
        {
            "word": "the united states",
            "name": "the United States",
            "count": 5,
            "labels": {"GPE": 4, "ORG": 1},
            "aliases": ["u.s.", "us"],
        }
    ]
    second = asked(store, f"after={first['next']}", lambda queries: queries.entities, "the post")
    assert [each["word"] for each in second["entities"]] == ["rome"]
    assert second["next"] is None
    older = asked(store, "", lambda queries: queries.frequencies, "the post")
    assert older == [{"word": "the united states", "count": 5}, {"word": "rome", "count": 4}]
    after = asked(
        store, "word=the united states&count=5", lambda queries: queries.frequencies, "the post"
    )
    assert after == older[1:]
    before = asked(store, "word=us&count=2", lambda queries: queries.frequencies, "the post")
    assert before == []  # the place of a word that an older client was given before
    trends = asked(store, "word=us&word=u.s.", lambda queries: queries.trends)
    assert [(each["word"], each["publication"]) for each in trends] == [
        ("the united states", "The Post"),
        ("the united states", "Herald"),
    ]
    assert trends[0]["aliases"] == ["u.s.", "us"]
