"""The recognizer against spaCy's own `ner`: the same entities, whatever the text."""

from __future__ import annotations

import csv
import logging
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, Span
from thinc.util import fix_random_seed

from daskingest.models import find_model, load_model, load_pipeline
from daskingest.recognizer import Recognizer, accelerate, decoder, embedding, pieces
from daskingest.recognizer.finder import Finder
from daskingest.text import EntitySpan

TEXT = "Angela Merkel met Barack Obama in Berlin on Monday. The United Nations paid $5 million."
_WORDS = (
    "Angela Merkel New York Inc. U.S. a.m. 10a.m. ): :) :- ) ( - ' 's don't can't Bank of the "
    'and/or $5 million 2019 Ph.D. Co. . , " ” http://x.org/a?b=c e@x.org o.O 😀 été 東京 العربية'
)
_PIECES = st.one_of(st.sampled_from(_WORDS.split()), st.text(max_size=12))
_SPACES = st.sampled_from([" ", " ", " ", "", "  ", "\n", "\n\n", " \n ", "\t", "\xa0", "\u2028"])
_TEXTS = st.lists(st.tuples(_PIECES, _SPACES), max_size=60).map(
    lambda parts: "".join(piece + space for piece, space in parts)
)


@pytest.fixture(scope="module")
def plain() -> Language:
    return load_pipeline(find_model(), entities_only=True)


@pytest.fixture(scope="module")
def fast() -> Finder:
    return load_model(find_model())


def found(docs: Sequence[Doc]) -> list[list[EntitySpan]]:
    return [[(e.start_char, e.end_char, e.label_) for e in doc.ents] for doc in docs]


def check(texts: Sequence[str], plain: Language, fast: Finder) -> None:
    with plain.memory_zone():
        wanted = found(list(plain.pipe(texts)))
    with fast.nlp.memory_zone():
        assert found(list(fast.nlp.pipe(texts))) == wanted
        assert fast(texts) == wanted


@settings(max_examples=150)
@given(st.lists(_TEXTS, min_size=1, max_size=5))
@example(["", " ", "\n \n", "a", " a", "a ", "a  b", TEXT])
@example(["x:-) ) :-)) o . O Mr . 10a.m . He 's : ) don't"])
@example(["\ud800 lone", "\x00\x01\x1f ctrl \x85 x", "👩‍👩‍👧‍👦 " * 20])
def test_any_text_gives_what_spacy_gives(plain: Language, fast: Finder, texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    check(texts, plain, fast)


@settings(max_examples=100)
@given(texts=st.lists(st.text(max_size=200), min_size=1, max_size=3))
def test_any_characters_give_what_spacy_gives(
    plain: Language, fast: Finder, texts: list[str]
) -> None:
    check([text.encode("utf-8", "replace").decode() for text in texts], plain, fast)


@pytest.mark.slow
def test_a_hundred_thousand_tokens(plain: Language, fast: Finder) -> None:
    check([f"{TEXT} " * 6000], plain, fast)


def test_one_endless_entity(plain: Language, fast: Finder) -> None:
    for text in ("Bank " * 3000, "The National Bank of " * 800, "January 5 , " * 500):
        check([text], plain, fast)


def test_real_articles(real_articles: Path, plain: Language, fast: Finder) -> None:
    csv.field_size_limit(1 << 30)
    with real_articles.open(newline="") as file:
        texts = [row["article"] for row in csv.DictReader(file)]
    check(texts[:150], plain, fast)


def test_what_is_forgotten_is_learnt_again(
    plain: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "TABLE_ROWS", 4300)
    monkeypatch.setattr("daskingest.recognizer.encoder._LOOKED_UP", 2000)
    monkeypatch.setattr("daskingest.recognizer.encoder.MAX_TYPES", 6000)
    monkeypatch.setattr(pieces, "MAX_PIECES", 3000)
    fast = Finder(load_pipeline(find_model(), entities_only=True))
    for turn in range(6):
        words = [f"Word{turn}x{i} Berlin" for i in range(1500)]
        check([" ".join(words), TEXT], plain, fast)
    assert fast.recognizer is not None
    assert fast.recognizer.encoder.generation > 0


def _preset(doc: Doc, case: str, ner: Language) -> None:
    label = {"known": "ORG", "unknown": "GALAXY"}.get(case, "PERSON")
    if case == "blocked":
        doc.set_ents([], blocked=[doc[1:3], doc[6:7]], default="missing")
    elif case == "outside":
        doc.set_ents([], outside=[doc[0:2]], default="missing")
    elif case == "sentences":
        for token in doc:
            token.is_sent_start = token.i % 2 == 0
    elif case == "kb":
        doc.set_ents([Span(doc, 3, 5, label="PERSON", kb_id="Q76")], default="missing")
    else:
        doc.set_ents(
            [Span(doc, 1, 4, label=label), Span(doc, 6, 7, label="GPE")], default="missing"
        )


@pytest.mark.parametrize(
    "case", ["known", "unknown", "blocked", "outside", "sentences", "kb", "person"]
)
def test_what_is_set_before_is_kept_as_spacy_keeps_it(case: str) -> None:
    results = []
    for quick in (False, True):
        nlp = load_pipeline(find_model(), entities_only=True)
        if quick:
            assert accelerate(nlp)
        ner: Any = nlp.get_pipe("ner")
        docs = [nlp.make_doc(TEXT), nlp.make_doc(TEXT)]
        _preset(docs[1], case, nlp)
        results.append(
            [
                [(t.ent_iob, t.ent_type_, t.ent_kb_id_, t.ent_id_) for t in doc]
                for doc in ner.pipe(docs)
            ]
        )
    assert results[0] == results[1]


def test_an_entity_ruler_before_it() -> None:
    docs = []
    for quick in (False, True):
        nlp = load_pipeline(find_model(), entities_only=True)
        ruler = nlp.add_pipe("entity_ruler", before="ner")
        ruler.add_patterns(  # type: ignore[attr-defined]
            [{"label": "ORG", "pattern": "Obama in Berlin", "id": "oib"}]
        )
        if quick:
            Finder(nlp)
        docs.append(nlp(TEXT + "\n" + TEXT))
    assert [(e.text, e.label_, e.ent_id_) for e in docs[0].ents] == [
        (e.text, e.label_, e.ent_id_) for e in docs[1].ents
    ]
    assert "Obama in Berlin" in {e.text for e in docs[1].ents}


@pytest.mark.parametrize("mixer", [3, 4])
def test_other_widths_and_labels(mixer: int) -> None:
    """An embedding's last layer has three pieces, unless somebody builds another one."""
    config = {
        "model": {
            "@architectures": "spacy.TransitionBasedParser.v2",
            "state_type": "ner",
            "extra_state_tokens": False,
            "hidden_width": 32,
            "maxout_pieces": 3,
            "use_upper": True,
            "tok2vec": {
                "@architectures": "spacy.Tok2Vec.v2",
                "embed": {
                    "@architectures": "spacy.MultiHashEmbed.v2",
                    "width": 48,
                    "attrs": ["LOWER", "SHAPE"],
                    "rows": [500, 300],
                    "include_static_vectors": True,
                },
                "encode": {
                    "@architectures": "spacy.MaxoutWindowEncoder.v2",
                    "width": 48,
                    "window_size": 2,
                    "maxout_pieces": 2,
                    "depth": 3,
                },
            },
        }
    }
    fix_random_seed(0)  # what is not set below is drawn at initialization
    nlp = spacy.blank("en")
    random_numbers = np.random.default_rng(0)
    for word in ("Berlin", "Merkel", "in"):
        vector: Any = random_numbers.standard_normal(20).astype(np.float32)
        nlp.vocab.set_vector(word, vector)
    ner = nlp.add_pipe("ner", config=config)
    for label in ("X-Y", "Z"):
        ner.add_label(label)  # type: ignore[attr-defined]
    tok2vec = ner.model.get_ref("tok2vec").layers[0]  # type: ignore[attr-defined]
    [last] = [each for each in tok2vec.get_ref("embed").walk() if each.name == "maxout"]
    last.set_dim("nP", mixer, force=True)
    nlp.initialize()
    for name in ("lower", "upper"):
        part = ner.model.get_ref(name)  # type: ignore[attr-defined]
        for parameter in part.param_names:
            shape = part.get_param(parameter).shape
            part.set_param(parameter, random_numbers.standard_normal(shape).astype(np.float32))
    texts = [TEXT, "", "Berlin", "Merkel in Berlin\n\n" * 30]
    wanted = found(list(nlp.pipe(texts)))
    assert sum(map(len, wanted)) > 10
    find = Finder(nlp)
    assert find.recognizer is not None
    assert found(list(nlp.pipe(texts))) == wanted
    assert find(texts) == wanted


def test_other_models_are_left_to_spacy(caplog: pytest.LogCaptureFixture) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("beam_ner").add_label("X")  # type: ignore[attr-defined]
    nlp.initialize()
    before = nlp.get_pipe("beam_ner")
    with caplog.at_level(logging.WARNING):
        find = Finder(nlp)
    assert nlp.get_pipe("beam_ner") is before
    assert find.recognizer is None
    assert "left to spaCy, which is slower: it uses beam search" in caplog.text
    assert len(find([TEXT])) == 1


def test_it_is_saved_as_the_pipeline_that_it_was(tmp_path: Path, plain: Language) -> None:
    nlp = load_pipeline(find_model(), entities_only=True)
    accelerate(nlp)
    nlp.to_disk(tmp_path / "model")
    again = spacy.load(tmp_path / "model")
    assert not isinstance(again.get_pipe("ner"), Recognizer)
    assert found([again(TEXT)]) == found([plain(TEXT)])
    copy = pickle.loads(pickle.dumps(nlp.get_pipe("ner")))
    assert found([copy(nlp.make_doc(TEXT))]) == found([plain(TEXT)])


def test_long_entities_are_extended_alone(
    plain: Language, fast: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "_SIDE_BY_SIDE", 2)
    check(
        [TEXT * 20, "the Committee on Agriculture , Nutrition and Forestry of the Senate " * 5],
        plain,
        fast,
    )
