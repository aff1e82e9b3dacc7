"""A publication over time: its articles, its words, and which of them came and went."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from daskingest.months import month_text
from daskingest.stores import Months, Publication
from daskingest.stores.periods import WordMonths, rates_of, stepped
from daskingest.web import wording
from daskingest.web.changes import Change, Changes, changes_of
from daskingest.web.downloads import Table
from daskingest.web.pages.reader import Reader
from daskingest.web.pages.timeline import Timeline
from daskingest.web.pictures.multiples import PANELS, Panel, multiples
from daskingest.web.pictures.over_time import Series, columns
from daskingest.web.pictures.picture import Figure

_CHANGES = 12  # words that rose, and that fell


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a publication: words that contain a text or have a label, of some time."""

    publication: Publication
    label: str
    text: str
    timeline: Timeline

    @property
    def query(self) -> dict[str, str]:
        """What a link to the same has in its query."""
        its = {"name": self.publication.key, "label": self.label, "q": self.text}
        return {**its, **self.timeline.query}

    @property
    def name(self) -> str:
        """The publication's, for a title."""
        return wording.short(self.publication.name, 60)

    @property
    def when(self) -> str:
        """The months, for a title; empty: all."""
        since, until = self.timeline.since, self.timeline.until
        return f"{' from ' + since if since else ''}{' to ' + until if until else ''}"


class PublicationOverTime:
    """What a publication's page shows of time."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def articles(self, publication: Publication) -> Months:
        """Its articles by month, of those that have a date."""
        key = publication.key
        found = await self._reader.read(lambda store: store.article_months(key))
        return dict(sorted(found.get(key, {}).items()))

    async def months(self, asked: Asked) -> Figure | None:
        """Its articles by month; those asked for stand out, and each leads to it alone."""
        articles = await self.articles(asked.publication)
        step = asked.timeline.step(articles)
        series = Series("articles", stepped(articles, step))

        def choose(since: str, until: str) -> str:
            return wording.address("publication", **{**asked.query, "since": since, "until": until})

        what = f"Articles by {asked.timeline.step_name(articles)}"
        picture = columns(series, what, step, asked.timeline.period, choose)
        if picture is None:
            return None
        return Figure(
            f"{asked.name}: articles by {asked.timeline.step_name(articles)}",
            picture,
            _source(articles),
        )

    async def months_table(self, asked: Asked) -> Table:
        """Its articles by month."""
        articles = asked.timeline.period.of(await self.articles(asked.publication))
        name = asked.publication.name
        rows = [(name, month_text(month), count) for month, count in articles.items()]
        return Table(("publication", "month", "articles"), [*rows])

    async def words(self, asked: Asked) -> Figure | None:
        """Its most frequent words, each over time."""
        found = (await self._found(asked))[:PANELS]
        articles = asked.timeline.period.of(await self.articles(asked.publication))
        if not articles:
            return None
        step, by = asked.timeline.step(articles), asked.timeline.step_name(articles)
        panels = [
            Panel(
                Series(each.word.name, rates_of(each.months, articles, step)),
                wording.address("word", word=each.word.word, **asked.timeline.query),
                "per 1,000 articles",
            )
            for each in found
        ]
        span = min(articles) // step * step, max(articles) // step * step
        title = f"{asked.name}: the most frequent words{asked.when}, per 1,000 articles by {by}"
        picture = multiples(panels, title, span, step)
        return None if picture is None else Figure(title, picture, _source(articles))

    async def words_table(self, asked: Asked) -> Table:
        """The same words, by month."""
        found = (await self._found(asked))[:PANELS]
        articles = asked.timeline.period.of(await self.articles(asked.publication))
        return Table(
            ("publication", "word", "month", "count", "articles", "name"),
            [
                (
                    *(asked.publication.name, each.word.word, month_text(month)),
                    *(each.months.get(month, 0), count, each.word.name),
                )
                for each in found
                for month, count in articles.items()
            ],
        )

    async def changes(self, asked: Asked) -> Changes | None:
        """The words that came and went."""
        found = await self._found(asked)
        articles = asked.timeline.period.of(await self.articles(asked.publication))
        return await asyncio.to_thread(changes_of, found, articles, _CHANGES)

    async def changes_table(self, asked: Asked) -> Table:
        """The same, with the articles of both halves."""
        its = await self.changes(asked)
        header = (
            *("publication", "word", "half", "earlier", "later"),
            *("articles_earlier", "articles_later", "z", "name"),
        )
        if its is None:
            return Table(header, [])

        def row(each: Change) -> tuple[str | int | float, ...]:
            return (
                *(asked.publication.name, each.found.word.word, month_text(its.half)),
                *(each.earlier, each.later, its.earlier, its.later),
                *(round(each.z, 3), each.found.word.name),
            )

        return Table(header, [row(each) for each in (*its.rose, *its.fell)])

    async def certain(self, asked: Asked) -> bool:
        """Whether the words of its months are certain to be the most frequent ones."""
        return (await self._looked(asked))[1]

    async def _found(self, asked: Asked) -> list[WordMonths]:
        return (await self._looked(asked))[0]

    async def _looked(self, asked: Asked) -> tuple[list[WordMonths], bool]:
        return await self._reader.words_over_time(
            asked.publication, asked.label, asked.timeline.period
        )


def _source(articles: Months) -> str:
    return (
        f"Of {sum(articles.values()):,} articles with a date; named entities, counted by daskingest"
    )
