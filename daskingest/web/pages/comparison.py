"""The comparison: which words are typical of which publication."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.responses import Response

from daskingest.stores import Publication, Store, Word
from daskingest.web import wording
from daskingest.web.call import Call
from daskingest.web.downloads import Table
from daskingest.web.keyness import TypicalWord, typical_words
from daskingest.web.pages.reader import SAMPLED, Reader
from daskingest.web.pages.renderer import Renderer
from daskingest.web.problems import Problem

_COMPARED = 6
_TYPICAL = 25
_LISTED = 200  # names to choose from

Columns = list[tuple[Publication, list[TypicalWord]]]


class Comparison:
    """Two or more publications side by side."""

    def __init__(self, reader: Reader, renderer: Renderer) -> None:
        self._reader, self._renderer = reader, renderer

    async def page(self, call: Call) -> Response:
        """The chosen publications' typical words, and others to choose."""
        chosen = await self._chosen(call)
        columns, names = await self._typical(chosen)
        return self._renderer.page(
            "compare.html",
            chosen=chosen,
            columns=columns,
            names=names,
            publications=(await self._reader.publications())[:_LISTED],
            sampled=SAMPLED,
            again=wording.query(name=[each.key for each in chosen]),
        )

    async def table(self, call: Call) -> Table:
        """The typical words."""
        columns, names = await self._typical(await self._chosen(call))
        return Table(
            ("publication", "word", "count", "elsewhere", "z", "name"),
            [
                (
                    *(publication.name, each.word, each.count, each.elsewhere, round(each.z, 3)),
                    names[each.word],
                )
                for publication, words in columns
                for each in words
            ],
        )

    async def _chosen(self, call: Call) -> list[Publication]:
        chosen: dict[str, Publication] = {}
        for name in call.texts("name")[: 2 * _COMPARED]:
            if name.strip():
                found = await self._reader.named(name)
                chosen[found.key] = found
        if len(chosen) > _COMPARED:
            raise Problem(
                422, f"at most {_COMPARED} publications can be compared at once", "too many"
            )
        return list(chosen.values())

    async def _typical(self, publications: list[Publication]) -> tuple[Columns, dict[str, str]]:
        """Each publication's typical words, and all of them as they are written."""
        if len(publications) < 2:
            return [], {}
        frequent = {each.key: await self._reader.most_frequent(each) for each in publications}
        counts = await self._reader.read(lambda store: _counts_of(frequent, store))
        best = await asyncio.to_thread(typical_words, counts, _TYPICAL)
        names = {each.word: each.name for words in frequent.values() for each in words}
        return [(each, best[each.key]) for each in publications], names


def _counts_of(frequent: Mapping[str, list[Word]], store: Store) -> dict[str, dict[str, int]]:
    """How often each of the words that are frequent anywhere occurs, by publication's key."""
    counts = {key: {each.word: each.count for each in words} for key, words in frequent.items()}
    every = sorted(set().union(*counts.values()))
    missing = [(key, word) for key, known in counts.items() for word in every if word not in known]
    for (key, word), found in store.find_words(missing).items():
        counts[key][word] = found.count
    return counts
