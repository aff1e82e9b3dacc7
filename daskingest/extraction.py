"""Extraction: from a batch's rows to Counts and a Tally."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daskingest.articles import Article, Reject
from daskingest.counts import SKIPPED_LABELS, Counts
from daskingest.grouping import grouped
from daskingest.models import load_model
from daskingest.shards import shard_of
from daskingest.tally import Tally
from daskingest.text import MAX_WORD, EntitySpan, fold_space

if TYPE_CHECKING:
    from daskingest.recognizer.finder import Finder

EXTRACTION_FAILED = "extraction failed"
GROUP_CHARS = 200_000
"""Characters extracted together: with fewer a word takes longer, with more it takes more memory."""

_SHORT = MAX_WORD // 2
"""Characters whose lower case is not too long: no character's has more than two."""

log = logging.getLogger(__name__)


def entities_in(text: str, model: str) -> list[EntitySpan]:
    """The entities in a text of any length, in order."""
    find = load_model(model)
    parts = list(split_text(text, find.nlp.max_length))
    located: list[EntitySpan] = []
    offset = 0
    with find.nlp.memory_zone():
        for part, found in zip(parts, find(parts), strict=True):
            located += [(offset + start, offset + end, label) for start, end, label in found]
            offset += len(part)
    return located


@dataclass(slots=True)
class Extraction:
    """The results of a batch."""

    counts: Counts = field(default_factory=Counts)
    tally: Tally = field(default_factory=Tally)
    rejects: list[Reject] = field(default_factory=list)


@dataclass(slots=True)
class _TextPart:
    """An article's text, or a part of one that is too long for the model, and where it counts."""

    row: int
    article: Article
    text: str
    found: Extraction


def extract(rows: Iterable[Article | Reject], find: Finder) -> Extraction:
    """Count the entities in a batch's rows.

    Each article is counted completely or is a reject: one on which spaCy raises an error does not
    affect its neighbours. The memory that new words take in the vocabulary is freed at the end.
    """
    return extract_shards(rows, find, 1, (0,))[0]


def extract_shards(
    rows: Iterable[Article | Reject], find: Finder, number: int, wanted: Iterable[int]
) -> dict[int, Extraction]:
    """The same for each wanted one of the batch's shards by itself, as if it had no other rows.

    Rows have the same numbers in all of them.
    """
    shards = {shard: Extraction() for shard in wanted}
    with find.nlp.memory_zone():
        articles = _articles(rows, shards, number)
        for several in grouped(articles, lambda each: len(each[1].content), GROUP_CHARS):
            group = [
                _TextPart(row, article, text, found)
                for row, article, found in several
                for text in split_text(article.content, find.nlp.max_length)
            ]
            try:
                _count(group, find)
            except Exception:
                log.warning("extraction failed; taking its articles one by one", exc_info=True)
                _count_singly(group, find)
    return shards


def _articles(
    rows: Iterable[Article | Reject], shards: Mapping[int, Extraction], number: int
) -> Iterator[tuple[int, Article, Extraction]]:
    for row, each in enumerate(rows):
        found = shards.get(shard_of(each, number))
        if found is None:
            continue
        found.tally.rows += 1
        if isinstance(each, Article):
            yield row, each, found
        else:
            found.tally.rejected[each.reason] += 1
            found.rejects.append(each)


def split_text(text: str, longest: int) -> Iterator[str]:
    """The text in parts of at most `longest` characters, cut after white space where possible."""
    start = 0
    while len(text) - start > longest:
        end = start + longest
        space = next((i for i in range(end, start, -1) if text[i - 1].isspace()), end)
        yield text[start:space]
        start = space
    yield text[start:]


def _count(group: list[_TextPart], find: Finder) -> None:
    """Count a group of complete articles, or raise an error and count none of them."""
    names: dict[int, list[tuple[str, str]]] = {}
    words: dict[int, int] = {}
    dropped: Counter[int] = Counter()
    found_in = find.read([part.text for part in group])
    for part, (its, words[part.row]) in zip(group, found_in, strict=True):
        mine, text = names.setdefault(part.row, []), part.text
        for start, end, label in its:
            if label in SKIPPED_LABELS or not (name := fold_space(text[start:end])):
                continue
            if len(name) > _SHORT and len(name.lower()) > MAX_WORD:
                dropped[part.row] += 1
            else:
                mine.append((name, label))
    for part in {part.row: part for part in group}.values():
        row, article, found = part.row, part.article, part.found
        found.counts.add_article(article.publication, names[row], article.month)
        found.tally.articles += 1
        found.tally.dated += article.month is not None
        whole = part.text == article.content  # else it may have been cut within a word
        found.tally.text_words += words[row] if whole else len(article.content.split())
        found.tally.entities += len(names[row])
        found.tally.dropped += dropped[row]


def _count_singly(group: list[_TextPart], find: Finder) -> None:
    for row in dict.fromkeys(part.row for part in group):
        parts = [part for part in group if part.row == row]
        try:
            _count(parts, find)
        except Exception as error:
            log.warning("article %d of the batch fails in the model", row, exc_info=True)
            found = parts[0].found
            found.tally.reject(row, EXTRACTION_FAILED)
            found.rejects.append(Reject(EXTRACTION_FAILED, f"{type(error).__name__}", row))
