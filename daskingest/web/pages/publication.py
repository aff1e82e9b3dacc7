"""A publication's page: its articles and words over time, and the shares of the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

from starlette.responses import Response

from daskingest.months import month_text
from daskingest.stores import ReadableStore, Word
from daskingest.stores.periods import words_within
from daskingest.text import MAX_WORD, word_of
from daskingest.web import wording
from daskingest.web.call import Call
from daskingest.web.cursors import from_cursor, to_cursor
from daskingest.web.downloads import Table, View
from daskingest.web.pages.publication_time import Asked, PublicationOverTime
from daskingest.web.pages.reader import FOLLOWED, LOOKED_AT, SAMPLED, Reader
from daskingest.web.pages.renderer import Renderer
from daskingest.web.pages.timeline import timeline_of
from daskingest.web.pictures.bars import Bar, bars
from daskingest.web.pictures.picture import Figure
from daskingest.web.pictures.sparks import sparkline

_PAGE = 50  # words
_BARS = 25  # words
_BLOCK = 10_000  # words that are read at a time if all are wanted
_MAX_LABEL = 100  # characters


class PublicationPage:
    """The page of one publication, and its pictures."""

    def __init__(self, reader: Reader, renderer: Renderer) -> None:
        self._reader, self._renderer = reader, renderer
        self._over_time = PublicationOverTime(reader)

    async def page(self, call: Call) -> Response:
        """A page of its words: those that contain a text, or those after a cursor."""
        asked = await self._asked(call)
        publication, period = asked.publication, asked.timeline.period
        words, following = await self._words(asked, call.text("after"))
        first = call.text("first", 9) if call.text("after") else ""
        months = await self._over_time.articles(publication)
        changes = await self._over_time.changes(asked)
        return self._renderer.page(
            "publication.html",
            asked=asked,
            publication=publication,
            words=words,
            label=asked.label,
            q=asked.text,
            time=asked.timeline,
            moved=asked.timeline.moved(months),
            prefix=self._reader.billed,
            limit=SAMPLED,
            page=_PAGE,
            first=int(first) if first.isdecimal() else 0,
            articles=sum(period.of(months).values()) if period else publication.count,
            months=await self._over_time.months(asked),
            bars=await self._bars(asked),
            multiples=await self._over_time.words(asked),
            changes=changes,
            certain=await self._over_time.certain(asked),
            looked_at=LOOKED_AT,
            followed=FOLLOWED,
            half=month_text(changes.half) if changes else "",
            spark=lambda each: sparkline(each, (min(months), max(months)), "mentions"),
            following=following,
            **_shares(await self._reader.most_frequent(publication), asked.label),
        )

    def views(self) -> dict[str, View]:
        """What can be had as files."""

        def table(make: Callable[[Asked], Awaitable[Table]]) -> Callable[[Call], Awaitable[Table]]:
            async def made(call: Call) -> Table:
                return await make(await self._asked(call))

            return made

        def figure(
            make: Callable[[Asked], Awaitable[Figure | None]],
        ) -> Callable[[Call], Awaitable[Figure | None]]:
            async def made(call: Call) -> Figure | None:
                return await make(await self._asked(call))

            return made

        its = self._over_time
        return {
            "publication": View(table(self._table), figure(self._bars)),
            "publication-months": View(table(its.months_table), figure(its.months)),
            "publication-words-by-month": View(table(its.words_table), figure(its.words)),
            "publication-changes": View(table(its.changes_table)),
        }

    async def _asked(self, call: Call) -> Asked:
        publication = await self._reader.named(call.text("name"))
        label, text = call.text("label", _MAX_LABEL), word_of(call.text("q", MAX_WORD))
        return Asked(publication, label, text, timeline_of(call))

    async def _most_frequent(self, asked: Asked) -> list[Word]:
        period = asked.timeline.period
        return await self._reader.most_frequent(asked.publication, asked.label, period)

    async def _bars(self, asked: Asked) -> Figure | None:
        """Its most frequent words as bars."""
        words = (await self._most_frequent(asked))[:_BARS]
        several = [
            Bar(
                each.name,
                each.count,
                wording.address("word", word=each.word, **asked.timeline.query),
            )
            for each in words
        ]
        picture = bars(several, "Most frequent words")
        if picture is None:
            return None
        labelled = f", {asked.label}" if asked.label else ""
        title = f"{asked.name}: the most frequent words{asked.when}{labelled}, by mentions"
        source = (
            f"Of {asked.publication.count:,} articles" if not asked.when else "Articles with a date"
        )
        return Figure(title, picture, f"{source}; named entities, counted by daskingest")

    async def _table(self, asked: Asked) -> Table:
        """All the words that the page would show, page by page."""
        publication = asked.publication
        if asked.timeline.period:
            key, period, label = publication.key, asked.timeline.period, asked.label or None
            words, _ = await self._reader.read(
                lambda store: words_within(store, key, period, SAMPLED, label)
            )
            within = [
                (publication.name, each.word, each.count, each.name)
                for each in words
                if _has(each, asked.text)
            ]
            return Table(("publication", "word", "count", "name"), [*within])
        rows = await self._reader.read(
            lambda store: [
                (publication.name, each.word, label, count, each.name)
                for each in _all_words(store, asked)
                for label, count in sorted(each.labels.items())
            ]
        )
        return Table(("publication", "word", "label", "count", "name"), [*rows])

    async def _words(self, asked: Asked, cursor: str) -> tuple[list[Word], str]:
        """A page of words, and the cursor for the next one; empty: there is none.

        Those of some months are one page.
        """
        key, text, label = asked.publication.key, asked.text, asked.label or None
        if asked.timeline.period:
            within = await self._most_frequent(asked)
            return [each for each in within if _has(each, text)][: 4 * _PAGE], ""
        if text:
            found = await self._reader.read(lambda store: store.search(key, text, SAMPLED, label))
            return found, ""
        after = from_cursor(cursor) if cursor else None
        words = await self._reader.read(lambda store: store.words(key, _PAGE + 1, after, label))
        if len(words) <= _PAGE:
            return words, ""
        words.pop()
        return words, to_cursor(words[-1].count, words[-1].word)


def _has(word: Word, text: str) -> bool:
    """Whether the text is in the word, or in one that is counted as the same."""
    return any(text in each.word for each in (word, *word.aliases))


def _all_words(store: ReadableStore, asked: Asked) -> Iterator[Word]:
    key, label = asked.publication.key, asked.label or None
    if asked.text:
        yield from store.search(key, asked.text, SAMPLED, label)
        return
    after = None
    while page := store.words(key, _BLOCK, after, label):
        yield from page
        after = page[-1].count, page[-1].word


def _shares(words: list[Word], label: str) -> dict[str, object]:
    """The labels of the most frequent words and their shares; `label` is always listed."""
    labels: Counter[str] = Counter()
    for each in words:
        labels.update(each.labels)
    mentions = labels.total()
    return {
        "sampled": len(words),
        "labels": sorted({*labels, label} - {""}),
        "shares": [(name, count, count / mentions) for name, count in labels.most_common()],
    }
