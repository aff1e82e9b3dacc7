"""Entities are those of the whole pipeline, though fewer of its pipes run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span, Token
from spacy.util import registry

from daskingest.doctor.software import check_model
from daskingest.errors import UsageError
from daskingest.models import find_model, load_model, needed_pipes
from daskingest.text import EntitySpan

TEXTS = (
    "Angela Merkel met Barack Obama in Berlin on Monday. Mice were running through the offices of "
    "the United Nations! She bought two companies, said John Smith of Acme Holdings. They are "
    "buying mice and running companies. New York's banks paid $5 million; Berlin paid nothing.",
    "companies in London bought Google. Ran. The mouse runs. \n\n Bought by Merkel. Zürich won.",
    "",
)
_TAGGED = {"tok2vec", "tagger"}
_LEMMATIZED = {"tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer"}
_PARSED = {"tok2vec", "parser"}


def _pattern(**attributes: object) -> dict[str, object]:
    return {"label": "RULE", "pattern": [attributes]}


def _ruler(nlp: Language, *patterns: dict[str, Any], **options: Any) -> None:
    pipe: Any = nlp.add_pipe("entity_ruler", config=options.pop("config", {}), **options)
    pipe.add_patterns(patterns)


def _spans(nlp: Language, *patterns: dict[str, Any], **config: Any) -> None:
    pipe: Any = nlp.add_pipe("span_ruler", config=config)
    pipe.add_patterns(patterns)


@Language.component("tests_first_word")
def _first_word(doc: Doc) -> Doc:
    """Unknown to daskingest: it reads lemmas, and sets entities."""
    spans = [Span(doc, t.i, t.i + 1, "WORD") for t in doc if t.lemma_ in ("mouse", "run")]
    doc.set_ents(spans, default="unmodified")
    return doc


@Language.component("tests_score", assigns=["doc._.tests_score"])
def _score(doc: Doc) -> Doc:
    return doc


@Language.component("tests_lemma", assigns=["token.lemma"])
def _lemma(doc: Doc) -> Doc:
    for token in doc:
        token.lemma_ = token.text[:1].lower()
    return doc


@registry.misc("tests_verbs_filter")  # type: ignore[untyped-decorator]
def _verbs_filter() -> Callable[..., list[Span]]:
    return lambda old, new: [span for span in new if span.root.pos_ == "NOUN"]


def _senter(nlp: Language) -> None:
    nlp.remove_pipe("parser")
    nlp.enable_pipe("senter")
    _ruler(nlp, _pattern(IS_SENT_START=True, IS_SPACE=False), before="ner")


def _sentencizer(nlp: Language) -> None:
    nlp.remove_pipe("parser")
    nlp.add_pipe("sentencizer", before="ner")


def _extension(nlp: Language) -> None:
    Token.set_extension("tests_verb", getter=lambda t: t.pos_ == "VERB", force=True)
    _ruler(nlp, _pattern(_={"tests_verb": True}))


def _two_rulers(nlp: Language) -> None:
    _ruler(nlp, _pattern(LOWER="mice"), name="first", before="ner")
    second = {"label": "RULE", "pattern": [{"ENT_TYPE": "GPE"}, {"LOWER": "paid"}]}
    _ruler(nlp, second, name="second", config={"overwrite_ents": True})


def _two_recognizers(nlp: Language) -> None:
    nlp.add_pipe("ner", name="second", source=spacy.load(find_model()))


def _disabled_recognizer(nlp: Language) -> None:
    _ruler(nlp, _pattern(LOWER="berlin"))
    nlp.disable_pipe("ner")


def _merged(nlp: Language) -> None:
    nlp.add_pipe("merge_noun_chunks", before="ner")
    _ruler(nlp, _pattern(LENGTH={">": 12}))


def _own_lemmas(nlp: Language) -> None:
    nlp.add_pipe("tests_lemma")
    _ruler(nlp, _pattern(LEMMA="g"))


def _norms(nlp: Language) -> None:
    ruler: Any = nlp.get_pipe("attribute_ruler")
    ruler.add([[{"LOWER": "google"}]], {"NORM": "the"})
    ruler.add([[{"LOWER": "nothing"}]], {"NORM": "google"})


CASES: dict[str, tuple[Callable[[Language], Any], set[str]]] = {
    "as it is": (lambda nlp: None, set()),
    "text only": (lambda nlp: _ruler(nlp, _pattern(LOWER="mice")), set()),
    "lemma": (lambda nlp: _ruler(nlp, _pattern(LEMMA="mouse")), _LEMMATIZED),
    "lemma, in lower case": (lambda nlp: _ruler(nlp, _pattern(lemma="mouse")), _LEMMATIZED),
    "lemma, one of several": (
        lambda nlp: _ruler(nlp, _pattern(LEMMA={"IN": ["company", "buy"]})),
        _LEMMATIZED,
    ),
    "before the ner": (lambda nlp: _ruler(nlp, _pattern(LEMMA="buy"), before="ner"), _LEMMATIZED),
    "pos": (lambda nlp: _ruler(nlp, _pattern(POS="VERB")), _LEMMATIZED - {"lemmatizer"}),
    "morph": (
        lambda nlp: _ruler(nlp, _pattern(MORPH={"IS_SUPERSET": ["Tense=Past"]})),
        _LEMMATIZED - {"lemmatizer"},
    ),
    "dep": (
        lambda nlp: _ruler(nlp, _pattern(DEP="nsubj")),
        _LEMMATIZED - {"lemmatizer"},  # as the attribute_ruler sets some
    ),
    "sentence starts": (
        lambda nlp: _ruler(nlp, _pattern(IS_SENT_START=True, IS_SPACE=False)),
        _PARSED,
    ),
    "no sentence starts": (
        lambda nlp: _ruler(nlp, _pattern(SENT_START=False, LOWER="berlin")),
        _PARSED,
    ),
    "senter": (_senter, {"senter"}),
    "sentencizer": (_sentencizer, {"sentencizer"}),
    "entities of the ner": (
        lambda nlp: _ruler(nlp, _pattern(ENT_TYPE="GPE"), config={"overwrite_ents": True}),
        set(),
    ),
    "extension": (_extension, _LEMMATIZED),
    "phrases by lemma": (
        lambda nlp: _ruler(
            nlp,
            {"label": "RULE", "pattern": "buys a mouse"},
            {"label": "RULE", "pattern": "mice"},
            config={"phrase_matcher_attr": "LEMMA"},
        ),
        _LEMMATIZED,
    ),
    "phrases by text": (
        lambda nlp: _ruler(
            nlp,
            {"label": "RULE", "pattern": "ACME holdings"},
            config={"phrase_matcher_attr": "LOWER"},
        ),
        set(),
    ),
    "span ruler": (
        lambda nlp: _spans(nlp, _pattern(LEMMA="mouse"), annotate_ents=True, overwrite=False),
        _LEMMATIZED,
    ),
    "span ruler, of phrases": (
        lambda nlp: _spans(
            nlp,
            {"label": "RULE", "pattern": "mice"},
            annotate_ents=True,
            phrase_matcher_attr="LEMMA",
        ),
        _LEMMATIZED,
    ),
    "span ruler, not of entities": (lambda nlp: _spans(nlp, _pattern(LEMMA="mouse")), set()),
    "span ruler with a filter of its own": (
        lambda nlp: _spans(
            nlp,
            _pattern(IS_ALPHA=True),
            annotate_ents=True,
            ents_filter={"@misc": "tests_verbs_filter"},
        ),
        _LEMMATIZED,
    ),
    "two rulers": (_two_rulers, set()),
    "several ners": (_two_recognizers, set()),
    "disabled ner": (_disabled_recognizer, set()),
    "component of one's own": (lambda nlp: nlp.add_pipe("tests_first_word"), _LEMMATIZED),
    "component that sets something else": (lambda nlp: nlp.add_pipe("tests_score"), set()),
    "lemmas of one's own": (
        _own_lemmas,
        {*_LEMMATIZED, "tests_lemma"},
    ),
    "merged chunks": (_merged, _LEMMATIZED),
    "merged entities": (lambda nlp: nlp.add_pipe("merge_entities"), set()),
    "norms": (_norms, _LEMMATIZED - {"lemmatizer"}),
}


def found(docs: Sequence[Doc]) -> list[list[EntitySpan]]:
    return [[(e.start_char, e.end_char, e.label_) for e in doc.ents] for doc in docs]


@pytest.mark.parametrize("case", CASES)
def test_entities_are_those_of_the_whole_pipeline(case: str, tmp_path: Path) -> None:
    change, helpers = CASES[case]
    whole = spacy.load(find_model())
    change(whole)
    wanted = found(list(whole.pipe(TEXTS)))
    model = str(tmp_path / "model")
    whole.to_disk(model)
    finder = load_model(model)
    kept = set(finder.nlp.pipe_names)
    assert kept & {*_LEMMATIZED, *helpers} == helpers
    with finder.nlp.memory_zone():
        assert finder(TEXTS) == wanted
        assert found(list(finder.nlp.pipe(TEXTS))) == wanted


def test_why_more_must_run_is_said(tmp_path: Path) -> None:
    nlp = spacy.load(find_model())
    nlp.add_pipe("tests_first_word")
    nlp.to_disk(tmp_path / "model")
    assert needed_pipes(str(tmp_path / "model")).reasons == (
        "its tests_first_word may use anything that others set: tok2vec, tagger, parser, "
        "attribute_ruler, lemmatizer must run, too",
    )
    nlp.remove_pipe("tests_first_word")
    _ruler(nlp, _pattern(LEMMA="mouse"), _pattern(POS="VERB"))
    nlp.to_disk(tmp_path / "model")
    check = check_model(str(tmp_path / "model"))
    assert (
        "its entity_ruler matches by LEMMA, POS: tok2vec, tagger, parser, attribute_ruler, "
        "lemmatizer must run, too" in check.text
    )


def test_rules_need_no_ner(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    _ruler(nlp, _pattern(LOWER="berlin"))
    nlp.to_disk(tmp_path / "model")
    [entities] = load_model(str(tmp_path / "model"))(["In Berlin."])
    assert entities == [(3, 9, "RULE")]


def test_a_pipeline_without_entities_is_refused(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "model")
    with pytest.raises(UsageError, match="its pipeline is sentencizer"):
        load_model(str(tmp_path / "model"))


def test_patterns_in_the_file_of_earlier_versions(tmp_path: Path) -> None:
    nlp = spacy.load(find_model())
    _ruler(nlp, _pattern(LEMMA="mouse"))
    nlp.to_disk(tmp_path / "model")
    data = tmp_path / "model" / "entity_ruler"
    (data / "patterns.jsonl").rename(data.with_suffix(".jsonl"))
    (data / "cfg").unlink()
    data.rmdir()
    assert needed_pipes(str(tmp_path / "model")).names >= _LEMMATIZED


def test_what_runs_when_a_pipeline_is_made_leaves_it_whole(tmp_path: Path) -> None:
    registry.callbacks("tests_nothing", func=lambda: lambda nlp: nlp)
    nlp = spacy.load(find_model())
    nlp.config["nlp"]["after_creation"] = {"@callbacks": "tests_nothing"}
    config = nlp.config.copy()
    config["nlp"]["after_pipeline_creation"] = {"@callbacks": "tests_nothing"}
    nlp.to_disk(tmp_path / "model")
    config.to_disk(tmp_path / "model" / "config.cfg")
    assert needed_pipes(str(tmp_path / "model")).names == {*_LEMMATIZED, "ner"}
