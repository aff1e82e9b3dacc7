"""Made-up articles: sentences of the bundled ones, with other entities in them."""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import math
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daskingest.errors import UsageError
from daskingest.extraction import entities_in
from daskingest.files import durable_rename
from daskingest.models import find_model

HEADER = (
    "",
    "Unnamed: 0",
    "date",
    "year",
    "month",
    "day",
    "author",
    "title",
    "article",
    "url",
    "section",
    "publication",
)
"""The columns of All-the-News 2.0."""

MEDIAN_WORDS = 400
_SPREAD = 0.8  # of the logarithm of the length: one article in 100 has 2,600 words or more
_MIN_WORDS, _MAX_WORDS = 20, 20_000
_PARAGRAPH = 4  # sentences, at most
_BLOCK = 1_000  # articles written together
_SENTENCE = re.compile(r"(?<=[.!?])[\"']?\s+(?=[\"'A-Z])")
_SOURCE = Path(__file__).parent / "sample.csv"


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence as text and entities in turn: `texts` has one more item than `labels`."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    text_words: int


class Maker:
    """Makes articles, the same for the same seed and model."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._sentences: list[_Sentence] = []
        self._entities: dict[str, list[str]] = {}
        self._publications: list[str] = []
        self._titles: list[str] = []
        with _SOURCE.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                self._learn(row)

    def _learn(self, row: dict[str, str]) -> None:
        model = find_model(None)
        self._titles.append(row["title"])
        if row["publication"] not in self._publications:
            self._publications.append(row["publication"])
        for paragraph in row["article"].splitlines():
            for text in _SENTENCE.split(paragraph):
                texts, labels, at = [], [], 0
                for start, end, label in entities_in(text, model):
                    texts.append(text[at:start])
                    labels.append(label)
                    self._entities.setdefault(label, []).append(text[start:end])
                    at = end
                texts.append(text[at:])
                if text.strip():
                    words = len(text.split())
                    self._sentences.append(_Sentence(tuple(texts), tuple(labels), words))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Endless rows, marked as made up in `author`, `title`, `url` and `section`."""
        pick, number = self._random.choice, self._random.random
        first = datetime.date(2016, 1, 1)
        for i in itertools.count():
            date = first + datetime.timedelta(days=int(number() * 1552))
            yield (
                str(i),
                str(i),
                date.isoformat(),
                str(date.year),
                f"{date.month}.0",
                str(date.day),
                "daskingest sample",
                f"[made up] {pick(self._titles)}",
                self._article(),
                f"https://sample.invalid/{i}",
                "made up",
                # Some publish more than others: the n-th about 1/n as much as the first.
                self._publications[int((len(self._publications) + 1) ** number()) - 1],
            )

    def _article(self) -> str:
        number = self._random.random
        length = self._random.lognormvariate(math.log(MEDIAN_WORDS), _SPREAD)
        left = min(max(length, _MIN_WORDS), _MAX_WORDS)
        sentences, entities = self._sentences, self._entities
        pieces: list[str] = []
        until_paragraph = 0
        while left > 0:
            sentence = sentences[int(number() * len(sentences))]
            if pieces:
                pieces.append(" " if until_paragraph else "\n\n")
            until_paragraph = until_paragraph or 1 + int(number() * _PARAGRAPH)
            until_paragraph -= 1
            for text, label in zip(sentence.texts, sentence.labels, strict=False):
                known = entities[label]
                pieces += (text, known[int(number() * len(known))])
            pieces.append(sentence.texts[-1])
            left -= sentence.text_words
        return "".join(pieces)


def write_sample(
    out: Path,
    articles: int | None,
    size: int | None,
    seed: int,
    progress: Callable[[int, int], None],
) -> tuple[int, int]:
    """Write so many articles, or at least so many bytes. Returns the articles and bytes written.

    The file appears when it is complete. `progress` is called regularly with both numbers. Raises
    UsageError if there is a file of this name, if there is no room, or if it can't be written.
    """
    if out.exists():
        raise UsageError(f"there is a file {out} already; name another, or remove it")
    part = out.with_name(f"{out.name}.part")
    try:
        free = shutil.disk_usage(out.absolute().parent).free
        if size is not None and size > free:
            raise UsageError(f"no room for {size:,} bytes at {out}: {free:,} bytes are free")
        with part.open("w", newline="", encoding="utf-8") as file:
            done = _write(file, Maker(seed).rows(), articles, size, progress)
        durable_rename(part, out)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    return done


def _write(
    file: io.TextIOWrapper,
    rows: Iterator[tuple[str, ...]],
    articles: int | None,
    size: int | None,
    progress: Callable[[int, int], None],
) -> tuple[int, int]:
    block = io.StringIO(newline="")
    writer = csv.writer(block, lineterminator="\n")
    writer.writerow(HEADER)
    count = written = 0
    while True:
        wanted = _BLOCK if articles is None else min(_BLOCK, articles - count)
        for row in itertools.islice(rows, wanted):
            writer.writerow(row)
            count += 1
            if size is not None and written + block.tell() >= size:
                break
        text = block.getvalue()
        file.write(text)
        written += len(text.encode())
        progress(count, written)
        if count == articles or (size is not None and written >= size):
            return count, written
        block.seek(0)
        block.truncate()
