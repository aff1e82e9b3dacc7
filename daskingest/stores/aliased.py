"""A store's counts as they are shown: the words of each group of a list are counted as one."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from operator import itemgetter
from typing import Self

from daskingest.stores import Months, Publication, ReadableStore, Word, WordRow
from daskingest.stores.aliases import Aliases, AliasGroup, place

_KEPT_SECONDS = 60.0  # how old counts of a list's words may be, where reading is billed
_KEPT = 100  # publications

Kept = dict[str, tuple[float, dict[str, Word]]]
"""By publication: those of a list's words that it has, and when they were read."""


def aliased(store: ReadableStore, aliases: Aliases, kept: Kept | None = None) -> ReadableStore:
    """The store, read through these aliases."""
    return AliasedStore(store, aliases, {} if kept is None else kept) if aliases.groups else store


class AliasedStore:
    """See `ReadableStore`. Nothing that is stored changes.

    A group has the key of its name's lower case, and sums by label and by month. Whichever of its
    words is asked for, it is the answer.

    Which of a list's words a publication has is looked up for each page of its words, in one query;
    where reads are billed, once a minute. Stores of the same list may share what is `kept`.
    """

    def __init__(
        self,
        store: ReadableStore,
        aliases: Aliases,
        kept: Kept,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.billed = store.billed
        self._store, self._aliases = store, aliases
        self._kept, self._clock = kept, clock

    def counted_as(self, word: str) -> str:
        """See `ReadableStore.counted_as`."""
        group = self._aliases.of(word)
        return group.words[0] if group else word

    def publications(self) -> list[Publication]:
        """See `ReadableStore.publications`."""
        return self._store.publications()

    def publication(self, key: str) -> Publication | None:
        """See `ReadableStore.publication`."""
        return self._store.publication(key)

    def words(
        self,
        publication: str,
        limit: int,
        after: tuple[int, str] | None = None,
        label: str | None = None,
    ) -> list[Word]:
        """See `ReadableStore.words`."""
        first = (-after[0], after[1]) if after else None
        every = self._groups(publication, label)
        groups = [each for each in every if first is None or place(each) > first]
        alone: list[Word] = []
        end, page = after, groups[:0]
        while True:
            missing = limit - len(page)
            # Too much is read rather than twice, unless that costs money.
            hidden = 0 if self.billed else _after(every, end)
            asked = missing + min(missing, hidden)
            read = self._store.words(publication, asked, end, label)
            alone += self._alone(read)
            if len(read) < asked:
                return sorted([*alone, *groups], key=place)[:limit]
            end = read[-1].count, read[-1].word
            page = [*alone, *(each for each in groups if place(each) <= place(read[-1]))]
            if len(page) >= limit:
                return sorted(page, key=place)[:limit]

    def search(
        self, publication: str, text: str, limit: int, label: str | None = None
    ) -> list[Word]:
        """See `ReadableStore.search`. A group is found by its name, or any of its words there."""

        def found(word: Word) -> bool:
            return self.matches(word.word, text)

        every = self._groups(publication, label)
        groups = [each for each in every if found(each) or any(map(found, each.aliases))]
        hidden = sum(found(word) for each in every for word in _members(each))
        read = self._store.search(publication, text, limit + hidden, label)
        return sorted([*self._alone(read), *groups], key=place)[:limit]

    def matches(self, word: str, text: str) -> bool:
        """See `ReadableStore.matches`."""
        return self._store.matches(word, text)

    def find_words(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Word]:
        """See `ReadableStore.find_words`."""
        found = self._store.find_words(self._every(words))
        merged = {}
        for key, word in words:
            group = self._aliases.of(word)
            its = [found[key, each] for each in _words_of(group, word) if (key, each) in found]
            if whole := group.merged(its) if group else next(iter(its), None):
                merged[key, word] = whole
        return merged

    def all_words(self, publication: str | None = None) -> Iterator[WordRow]:
        """See `ReadableStore.all_words`."""
        for each in self._chosen(publication):
            alone = (row for row in self._store.all_words(each.key) if not self._aliases.of(row[1]))
            groups = [
                (each.name, word.word, label, count, word.spelling)
                for word in self._groups(each.key)
                for label, count in word.labels.items()
            ]
            yield from heapq.merge(alone, sorted(groups), key=itemgetter(1, 2))

    def article_months(self, publication: str | None = None) -> dict[str, Months]:
        """See `ReadableStore.article_months`."""
        return self._store.article_months(publication)

    def word_months(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Months]:
        """See `ReadableStore.word_months`."""
        found = self._store.word_months(self._every(words))
        summed: dict[tuple[str, str], Months] = {}
        for key, word in words:
            if (group := self._aliases.of(word)) is None:
                if (key, word) in found:
                    summed[key, word] = found[key, word]
                continue
            months: Counter[int] = Counter()
            for each in group.words:
                months.update(found.get((key, each), {}))
            if months:
                summed[key, word] = dict(months)
        return summed

    def all_months(self, publication: str) -> Iterator[tuple[str, Months]]:
        """See `ReadableStore.all_months`."""
        every = self._store.all_months(publication)
        alone = (each for each in every if not self._aliases.of(each[0]))
        keys = [(publication, self.counted_as(word)) for word in self._found(publication)]
        groups = [(word, months) for (_, word), months in self.word_months(keys).items()]
        yield from heapq.merge(alone, sorted(groups, key=itemgetter(0)), key=itemgetter(0))

    def close(self) -> None:
        """See `ReadableStore.close`."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _every(self, words: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
        """With each word, the others of its group."""
        every = (
            (key, each) for key, word in words for each in _words_of(self._aliases.of(word), word)
        )
        return list(dict.fromkeys(every))

    def _alone(self, words: list[Word]) -> list[Word]:
        return [each for each in words if not self._aliases.of(each.word)]

    def _chosen(self, publication: str | None) -> list[Publication]:
        if publication is None:
            return sorted(self._store.publications(), key=lambda each: each.key)
        found = self._store.publication(publication)
        return [found] if found else []

    def _groups(self, publication: str, label: str | None = None) -> list[Word]:
        """The groups that a publication has words of, as counted there, under all labels or one."""
        found = self._found(publication)
        merged = []
        for group in self._aliases.groups:
            its = [found[word] for word in group.words if word in found]
            if label is not None:
                its = [each for word in its if (each := word.under(label))]
            if whole := group.merged(its):
                merged.append(whole)
        return merged

    def _found(self, publication: str) -> dict[str, Word]:
        """Those of the list's words that occur in a publication."""
        now = self._clock()
        at, found = self._kept.get(publication, (now, {}))
        if found and now - at < _KEPT_SECONDS:
            return found
        words = self._store.find_words([(publication, word) for word in self._aliases.words])
        found = {word: each for (_, word), each in words.items()}
        if self.billed:
            self._kept[publication] = now, found
            for key in list(self._kept)[:-_KEPT]:
                self._kept.pop(key, None)
        return found


def _words_of(group: AliasGroup | None, word: str) -> tuple[str, ...]:
    return group.words if group else (word,)


def _members(whole: Word) -> tuple[Word, ...]:
    """The words that a group's count is the sum of."""
    return whole.aliases or (whole,)


def _after(groups: list[Word], end: tuple[int, str] | None) -> int:
    """How many of the groups' words come after a place."""
    words = [each for whole in groups for each in _members(whole)]
    return sum(end is None or place(each) > (-end[0], end[1]) for each in words)
