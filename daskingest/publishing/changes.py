"""What of a store's counts has changed since they were published.

A document is what a target keeps of one word of one publication: its counts by label. A
publication's number of articles is a document too, under the word "", which no entity has, and the
label "". Both sides come in the order of their words, so that neither needs to fit into memory.
Its counts by month are kept beside those by label, under names like `2016-06`, which no label has.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from daskingest.months import month_named, month_text
from daskingest.packed import PackedCounts, PublicationCounts, pack
from daskingest.stores import Months, Store, WordRow

ARTICLES = ""
"""The word, and the label, that a publication's articles are counted under."""

Labels = dict[str, int]


class Document(NamedTuple):
    """A word, its counts by label, and how it is written, see `spelling_of`."""

    word: str
    labels: Labels
    spelling: int = 0


class Fewer(Exception):
    """A count is lower than the one that was published. Says of which word."""


@dataclass(frozen=True, slots=True)
class Content:
    """A publication of the store, with its documents in the order of their words."""

    key: str
    name: str
    documents: Iterator[Document]


def contents(store: Store, check: Callable[[], None]) -> Iterator[Content]:
    """All publications of a store. Each is to be read to its end before the next.

    `check` is called before each document, and may raise, to give it up.
    """
    dated = store.article_months()
    for each in store.publications():
        articles = Document(ARTICLES, {ARTICLES: each.count, **_named(dated.get(each.key, {}))})
        documents = _documents(store.all_words(each.key), store.all_months(each.key), check)
        yield Content(each.key, each.name, itertools.chain([articles], documents))


def _documents(
    rows: Iterable[WordRow], months: Iterator[tuple[str, Months]], check: Callable[[], None]
) -> Iterator[Document]:
    """Both come in the order of their words. What was counted between their reading is not lost:
    the next publish finds it."""
    dated, its = next(months, (None, {}))
    for (word, spelling), some in itertools.groupby(rows, key=itemgetter(1, 4)):
        check()
        labels = {label: count for _, _, label, count, _ in some}
        while dated is not None and dated < word:
            dated, its = next(months, (None, {}))
        if dated == word:
            labels |= _named(its)
        yield Document(word, labels, spelling)


def _named(months: Months) -> Labels:
    return {month_text(month): count for month, count in sorted(months.items())}


def changed(now: Iterable[Document], before: Iterable[tuple[str, Labels]]) -> Iterator[Document]:
    """The documents whose counts are not what they were, as they are now.

    Both are in the order of their words. Raises Fewer where a count has fallen.
    """
    published, last = iter(before), ""
    word, labels = next(published, (None, {}))
    for document in now:
        mine, counts, _ = document
        if mine < last:
            raise ValueError(f"the store gives {mine!r} after {last!r}, which is not in order")
        last = mine
        then: Labels = {}
        if word == mine:
            then = labels
            word, labels = next(published, (None, {}))
        elif word is not None and word < mine:
            raise Fewer(word)
        if counts != then:
            if any(counts.get(label, 0) < count for label, count in then.items()):
                raise Fewer(mine)
            yield document
    if word is not None:
        raise Fewer(word)


def difference(now: Labels, before: Labels) -> Labels:
    """By how much each count has grown, where it has."""
    grown = {label: count - before.get(label, 0) for label, count in now.items()}
    return {label: count for label, count in grown.items() if count}


def as_counts(rows: Iterable[tuple[str, str, str, Labels, int]]) -> PackedCounts:
    """Counts to commit, from (publication key, name, word, counts by label, spelling)."""
    publications: dict[str, PublicationCounts] = {}
    for key, name, word, grown, spelling in rows:
        labels = dict(grown)
        mine = publications.setdefault(key, PublicationCounts(name))
        if word == ARTICLES:
            mine.articles += labels.pop(ARTICLES, 0)
            mine.article_months.update(_months(labels))
        else:
            months = _months(labels)
            mine.words.update({(word, label): count for label, count in labels.items()})
            mine.months.update({(word, month): count for month, count in months.items()})
            mine.spellings[word] = spelling
    return pack(publications)


def _months(labels: Labels) -> Months:
    """Take the counts by month out of the others."""
    numbers = {name: month_named(name) for name in labels}
    return {month: labels.pop(name) for name, month in numbers.items() if month is not None}
