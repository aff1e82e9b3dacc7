"""Queries by programs: publications, and pages of their words."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from daskingest.articles import publication_key
from daskingest.stores import Publication, ReadableStore, Word
from daskingest.stores.periods import trends_of, words_within
from daskingest.stores.reading import publication_named
from daskingest.text import MAX_WORD, word_of
from daskingest.web.backend import Backend
from daskingest.web.call import Call
from daskingest.web.cursors import MAX_COUNT, from_cursor, to_cursor
from daskingest.web.problems import Problem
from daskingest.web.responses import JSON_TYPE, Json, json_bytes, varied

_PAGE, _MAX_PAGE = 50, 1_000  # words
_OLD_PAGE = 10
MAX_WORDS = 20
"""Words that can be asked for at once."""


class Queries:
    """Answers programs' queries from a backend's store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def publications(self, call: Call) -> Response:
        """All publications, with the numbers of their articles, and pictures of their words."""
        place = call.address

        def look(store: ReadableStore) -> bytes:
            return json_bytes(
                [
                    {
                        "name": each.name,
                        "count": each.count,
                        "img_uri": f"{place}/cloud.svg?{urlencode({'name': each.key})}",
                    }
                    for each in store.publications()
                ]
            )

        return varied(Response(await self._backend.read(look), media_type=JSON_TYPE))

    async def frequencies(self, call: Call) -> Response:
        """The older clients' paging: the ten words after the given one."""
        given = call.query
        if ("word" in given) != ("count" in given):
            raise Problem(
                422,
                "expected both word and count, of the last word seen, or neither; found one",
                "wrong parameter",
            )
        after = None
        if given.get("count"):  # empty: begin with the first word
            after = (call.number("count", 0, 0, MAX_COUNT), given["word"])

        def look(store: ReadableStore) -> list[Word]:
            known = publication_named(store, call.publication)
            return store.words(known.key, _OLD_PAGE, after) if known else []

        found = await self._backend.read(look)
        return Json([{"word": each.word, "count": each.count} for each in found])

    async def entities(self, call: Call) -> Response:
        """A page of a publication's words, with counts by label, and where the next begins.

        Of some months: the most frequent words, on one page. Labels are not kept by month: with
        one, the words that have it at any time.
        """
        name = call.publication
        limit = call.number("limit", _PAGE, 1, _MAX_PAGE)
        label = call.query.get("label", "").upper() or None
        cursor = call.query.get("after")
        period = call.period()
        if period and cursor:
            raise Problem(404, "of some months there is one page: ask for more words", "unknown")
        after = None if cursor is None else from_cursor(cursor)

        def look(store: ReadableStore) -> bytes | None:
            publication = publication_named(store, name)
            if publication is None:
                return None
            if period:
                within, _ = words_within(store, publication.key, period, limit, label)
                return json_bytes(_page(publication, within, limit))
            words = store.words(publication.key, limit + 1, after, label)
            return json_bytes(_page(publication, words, limit))

        page = await self._backend.read(look)
        if page is None:
            raise Problem(
                404,
                f"no publication {publication_key(name)[:100]!r}; GET /publications lists them",
                "unknown",
            )
        return Response(page, media_type=JSON_TYPE)

    async def trends(self, call: Call) -> Response:
        """Words by month, in each publication that mentions them."""
        words = list(dict.fromkeys(word_of(each) for each in call.texts("word")))
        if not words or len(words) > MAX_WORDS or any(len(each) > MAX_WORD for each in words):
            raise Problem(
                422,
                f"expected word, once to {MAX_WORDS} times, of at most {MAX_WORD} characters",
                "wrong parameter",
            )
        name = call.text("publication")
        period = call.period()

        def look(store: ReadableStore) -> bytes:
            named = publication_named(store, name) if name else None
            chosen = store.publications() if not name else [named] if named else []
            found = trends_of(store, words, chosen, period)
            return json_bytes([each.to_json() for each in found if each.mentions])

        return Response(await self._backend.read(look), media_type=JSON_TYPE)


def _page(publication: Publication, words: list[Word], limit: int) -> dict[str, object]:
    """A page of up to `limit` words; if `words` has one more, there is a next page."""
    following = None
    if len(words) > limit:
        words = words[:limit]
        following = to_cursor(words[-1].count, words[-1].word)
    return {
        "publication": {"name": publication.name, "count": publication.count},
        "entities": [each.to_json() for each in words],
        "next": following,
    }
