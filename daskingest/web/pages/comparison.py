"""The comparison: which words are typical of which publication, and words over time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from daskingest.stores import Publication, ReadableStore, Word
from daskingest.stores.periods import Period, added, stepped, trends_of
from daskingest.text import MAX_WORD, word_of
from daskingest.web.call import Call
from daskingest.web.downloads import Table
from daskingest.web.keyness import TypicalWord, typical_words
from daskingest.web.pages.reader import SAMPLED, Reader
from daskingest.web.pages.renderer import Renderer
from daskingest.web.pages.timeline import Timeline, timeline_of
from daskingest.web.pages.trends import Line, figure_of, table_of
from daskingest.web.pictures.log_odds import Placed, log_odds
from daskingest.web.pictures.over_time import SERIES, Series, lines
from daskingest.web.pictures.picture import Figure
from daskingest.web.problems import Problem
from daskingest.web.wording import short

_TYPICAL = 25
_LISTED = 200  # names to choose from

Columns = list[tuple[Publication, list[TypicalWord]]]


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared, and when."""

    publications: list[Publication]
    words: list[str]
    timeline: Timeline

    @property
    def query(self) -> dict[str, str | list[str]]:
        """What a link to the same has in its query."""
        names = [each.key for each in self.publications]
        return {"name": names, "word": self.words, **self.timeline.query}


class Comparison:
    """Publications or words side by side."""

    def __init__(self, reader: Reader, renderer: Renderer) -> None:
        self._reader, self._renderer = reader, renderer

    async def page(self, call: Call) -> Response:
        """What is compared, and others to choose."""
        asked = await self._asked(call)
        columns, names = await self._typical(asked)
        return self._renderer.page(
            "compare.html",
            asked=asked,
            time=asked.timeline,
            columns=[(each, words[:_TYPICAL]) for each, words in columns],
            names=names,
            publications=(await self._reader.publications())[:_LISTED],
            sampled=SAMPLED,
            months=await self._months(asked),
            lines=[name for name, _, _ in await self._lines(asked)],
            placed=_placed(columns, names),
        )

    async def table(self, call: Call) -> Table:
        """The typical words."""
        columns, names = await self._typical(await self._asked(call))
        return Table(
            ("publication", "word", "count", "elsewhere", "z", "name"),
            [
                (
                    *(publication.name, each.word, each.count, each.elsewhere, round(each.z, 3)),
                    names[each.word],
                )
                for publication, words in columns
                for each in (words if len(columns) == 2 else words[:_TYPICAL])
            ],
        )

    async def placed(self, call: Call) -> Figure | None:
        """The words of two publications, by how frequent and how typical they are."""
        return _placed(*await self._typical(await self._asked(call)))

    async def months(self, call: Call) -> Figure | None:
        """What is compared, over time."""
        return await self._months(await self._asked(call))

    async def months_table(self, call: Call) -> Table:
        """The same, by month."""
        asked = await self._asked(call)
        per_word = len(asked.words) > 1 or not asked.publications
        return table_of(await self._lines(asked), "word" if per_word else "publication")

    async def _asked(self, call: Call) -> Compared:
        chosen: dict[str, Publication] = {}
        for name in call.texts("name")[: 2 * SERIES]:
            if name.strip():
                found = await self._reader.named(name)
                chosen[found.key] = found
        words = dict.fromkeys(word_of(each[:MAX_WORD]) for each in call.texts("word"))
        words.pop("", None)
        for what, found_ in (("publications", chosen), ("words", words)):
            if len(found_) > SERIES:
                raise Problem(422, f"at most {SERIES} {what} can be compared at once", "too many")
        return Compared(list(chosen.values()), list(words), timeline_of(call))

    async def _typical(self, asked: Compared) -> tuple[Columns, dict[str, str]]:
        """Each publication's typical words, and all of them as they are written."""
        if len(asked.publications) < 2:
            return [], {}
        period = asked.timeline.period
        frequent = {
            each.key: await self._reader.most_frequent(each, "", period)
            for each in asked.publications
        }
        counts = await self._reader.read(lambda store: _counts_of(frequent, store, period))
        best = await asyncio.to_thread(typical_words, counts, len(asked.publications) * SAMPLED)
        names = {each.word: each.name for words in frequent.values() for each in words}
        return [(each, best[each.key]) for each in asked.publications], names

    async def _months(self, asked: Compared) -> Figure | None:
        """Mentions of the words; without words, the publications' articles."""
        several = await self._lines(asked)
        if asked.words:
            return figure_of(several, _title(asked, several), asked.timeline) if several else None
        months = [month for _, _, articles in several for month in articles]
        step, by = asked.timeline.step(months), asked.timeline.step_name(months)
        series = [Series(name, stepped(articles, step)) for name, _, articles in several]
        picture = lines(series, f"Articles by {by}", step, asked.timeline.log)
        if picture is None:
            return None
        source = "Articles with a date, counted by daskingest"
        return Figure(f"{_title(asked, several)}, articles by {by}", picture, source)

    async def _lines(self, asked: Compared) -> list[Line]:
        """A line for each word; for each publication if there is no more than one word."""
        if not asked.words and len(asked.publications) < 2:
            return []
        period, every = asked.timeline.period, await self._reader.article_months()
        articles = {key: period.of(months) for key, months in every.items()}
        if not asked.words:
            return [
                (each.name, {}, articles[each.key])
                for each in asked.publications
                if articles.get(each.key)
            ]
        among = asked.publications or await self._reader.publications()
        trends, words = await self._reader.read(
            lambda store: (
                trends_of(store, asked.words, among, period),
                list(dict.fromkeys(map(store.counted_as, asked.words))),
            )
        )
        if len(asked.words) == 1 and asked.publications:
            return [(each.publication.name, each.mentions, each.articles) for each in trends]
        whole = added(articles.get(each.key, {}) for each in among)
        if not whole:
            return []
        found = []
        for word in words:
            its = [each for each in trends if each.word.word == word]
            name = max(its, key=lambda each: each.word.count).word.name if its else word
            found.append((name, added(each.mentions for each in its), whole))
        return found


def _title(asked: Compared, several: Sequence[Line]) -> str:
    names = " and ".join(short(each.name, 40) for each in asked.publications)
    if not asked.words:
        return names
    written = [name for name, _, _ in several] if len(asked.words) > 1 else asked.words
    words = ", ".join(f"“{short(each, 30)}”" for each in written)
    return f"{words} in {names or 'all publications'}"


def _placed(columns: Columns, names: Mapping[str, str]) -> Figure | None:
    """The words of two publications, if they are two."""
    if len(columns) != 2:
        return None
    (first, of_first), (second, of_second) = columns
    words = [Placed(names[each.word], each.count, each.elsewhere, each.z) for each in of_first]
    words += [Placed(names[each.word], each.elsewhere, each.count, -each.z) for each in of_second]
    picture = log_odds(words, first.name, second.name)
    if picture is None:
        return None
    title = f"Words typical of {short(first.name, 40)} and of {short(second.name, 40)}"
    source = (
        f"Of {first.count + second.count:,} articles; log-odds ratio with an informative Dirichlet "
        "prior, as z-score; counted by daskingest"
    )
    return Figure(title, picture, source)


def _counts_of(
    frequent: Mapping[str, Sequence[Word]], store: ReadableStore, period: Period
) -> dict[str, dict[str, int]]:
    """How often each of the words that are frequent anywhere occurs, by publication's key."""
    counts = {key: {each.word: each.count for each in words} for key, words in frequent.items()}
    every = sorted(set().union(*counts.values()))
    missing = [(key, word) for key, known in counts.items() for word in every if word not in known]
    if period:
        for (key, word), months in store.word_months(missing).items():
            counts[key][word] = sum(period.of(months).values())
        return counts
    for (key, word), found in store.find_words(missing).items():
        counts[key][word] = found.count
    return counts
