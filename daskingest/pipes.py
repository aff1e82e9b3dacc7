"""Which of a pipeline's pipes its entities need: those that set them, and what those read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

ANYTHING = "anything"
"""Set or read by a pipe that cannot be judged."""

_MATCHED = {
    "LEMMA": ("lemma",),
    "POS": ("pos",),
    "TAG": ("tag",),
    "MORPH": ("morph",),
    "DEP": ("dep",),
    "HEAD": ("dep",),
    "NORM": ("norm",),
    "ENT_TYPE": ("ents",),
    "ENT_IOB": ("ents",),
    "ENT_ID": ("ents",),
    "ENT_KB_ID": ("ents", "kb"),
    "SENT_START": ("sents", "bounds"),
    "IS_SENT_START": ("sents", "bounds"),
    "_": (ANYTHING,),  # an extension's getter may look at anything
}
"""What a pattern's key stands for, if pipes set it. All other keys are about the token's text."""

# What pipes set, and what they read besides. `bounds` are sentence starts, except a parser's: an
# `ner` alone is no reason to run a parser, see `needed`.
_KNOWN = {
    "ner": ("ents", "ents tokens norm bounds"),
    "beam_ner": ("ents", "ents tokens norm bounds"),
    "tagger": ("tag", "tag tokens norm"),
    "morphologizer": ("pos morph", "pos morph tokens norm"),
    "parser": ("dep sents", "sents bounds tokens norm"),
    "beam_parser": ("dep sents", "sents bounds tokens norm"),
    "senter": ("sents bounds", "sents bounds tokens norm"),
    "sentencizer": ("sents bounds", "sents bounds tokens"),
    "lemmatizer": ("lemma", "lemma pos tag morph tokens norm"),
    "trainable_lemmatizer": ("lemma", "lemma tokens norm"),
    "entity_linker": ("kb", "kb ents sents bounds tokens norm"),
    "tok2vec": ("tensor", "tokens norm"),
    "transformer": ("tensor", "tokens norm"),
    "curated_transformer": ("tensor", "tokens norm"),
    "textcat": ("cats", "tokens norm"),
    "textcat_multilabel": ("cats", "tokens norm"),
    "spancat": ("spans", "spans tokens norm"),
    "spancat_singlelabel": ("spans", "spans tokens norm"),
    "span_finder": ("spans", "spans tokens norm"),
    "merge_entities": ("tokens", ANYTHING),
}
_RULERS = ("entity_ruler", "future_entity_ruler", "span_ruler")
_CALLBACKS = ("before_creation", "after_creation", "after_pipeline_creation")


@dataclass(frozen=True, slots=True)
class Pipe:
    """A pipe, what it sets, what it reads, and the attributes by which its patterns match."""

    name: str
    sets: frozenset[str]
    reads: frozenset[str]
    matches: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        """Whether it is clear what it does."""
        return ANYTHING not in self.sets


@dataclass(frozen=True, slots=True)
class Needed:
    """The pipes to run, and sentences that say why there are more than one would think."""

    names: frozenset[str]
    reasons: tuple[str, ...]


def needed(pipes: Iterable[Pipe]) -> Needed:
    """Those without which the entities may be others, of a pipeline's pipes in its order.

    With one exception: an entity of an `ner` does not go on across the start of a sentence, but a
    parser is not run for that alone. No pipe is needed if none sets entities.
    """
    live: dict[str, Pipe | None] = {"ents": None}  # what is read later, and for whom
    names: set[str] = set()
    helpers: dict[Pipe, list[str]] = {}
    for pipe in reversed(list(pipes)):
        wanted = pipe.sets & live.keys() or (pipe.sets if ANYTHING in live else frozenset())
        if pipe.known and not wanted:
            continue
        names.add(pipe.name)
        owner = (
            pipe
            if not pipe.known or "ents" in pipe.sets
            else live[min(wanted & live.keys() or {ANYTHING})]
        )
        if owner and owner is not pipe:
            helpers.setdefault(owner, []).append(pipe.name)
        for each in pipe.reads - live.keys():
            live[each] = owner or pipe
    if not any({"ents", ANYTHING} & pipe.sets for pipe in pipes if pipe.name in names):
        return Needed(frozenset(), ())
    return Needed(frozenset(names), tuple(_reasons(helpers)))


def _reasons(helpers: Mapping[Pipe, list[str]]) -> Iterator[str]:
    for owner, names in helpers.items():
        if ANYTHING in owner.reads or owner.matches:
            what = ", ".join(sorted(owner.matches)) or "may use anything that others set"
            uses = f"matches by {what}" if owner.matches else what
            yield f"its {owner.name} {uses}: {', '.join(reversed(names))} must run, too"


def pipes_of(config: Mapping[str, Any], folder: Path) -> list[Pipe]:
    """The pipes that a saved pipeline runs, in their order. `folder` has their data."""
    nlp = config["nlp"]
    disabled = nlp.get("disabled") or ()
    names = [name for name in nlp["pipeline"] if name not in disabled]
    if any(nlp.get(each) for each in _CALLBACKS):  # they may change any of it
        return [_unknown(name) for name in names]
    return [_pipe(name, config["components"].get(name, {}), nlp["lang"], folder) for name in names]


def _pipe(name: str, part: Mapping[str, Any], lang: str, folder: Path) -> Pipe:
    factory = part.get("factory", "")
    if factory in _RULERS:
        return _ruler(name, part, folder)
    if factory == "attribute_ruler":
        return _attribute_ruler(name, folder)
    if factory == "doc_cleaner" and set(part.get("attrs", {})) <= {"tensor", "_.trf_data"}:
        return Pipe(name, frozenset({"tensor"}), frozenset())
    if factory not in _KNOWN:
        return _declared(name, factory, lang)
    sets, reads = (frozenset(each.split()) for each in _KNOWN[factory])
    return Pipe(name, sets, reads | _features(part.get("model")))


def _unknown(name: str) -> Pipe:
    return Pipe(name, frozenset({ANYTHING}), frozenset({ANYTHING}))


def _declared(name: str, factory: str, lang: str) -> Pipe:
    """A pipe of someone else. What it says that it sets is believed, if it says so at all."""
    from spacy.util import get_lang_class

    try:
        meta = get_lang_class(lang).get_factory_meta(factory)
    except (ValueError, ImportError):  # not registered: its code comes with the model
        return _unknown(name)
    if not meta.assigns or meta.retokenizes:
        return _unknown(name)
    sets = {word for each in meta.assigns for word in _set_by(each)}
    return Pipe(name, frozenset(sets), frozenset({ANYTHING}))


def _set_by(assigned: str) -> tuple[str, ...]:
    """What is set under a name such as `token.lemma` or `doc._.score`."""
    attribute = assigned.partition(".")[2].strip("_")
    others = {"ents": ("ents",), "sents": _MATCHED["SENT_START"], "tensor": ("tensor",)}
    return others.get(attribute) or _MATCHED.get(attribute.upper(), ("other",))


def _features(model: object) -> frozenset[str]:
    """What a model reads: another pipe's vectors, by listening, and attributes of tokens."""
    if isinstance(model, Mapping):
        return frozenset().union(*map(_features, model.values()))
    if isinstance(model, list | tuple):
        return frozenset().union(*map(_features, model))
    if isinstance(model, str):
        return frozenset({"tensor"} if "Listener" in model else _MATCHED.get(model, ()))
    return frozenset()


def _ruler(name: str, part: Mapping[str, Any], folder: Path) -> Pipe:
    """It matches by the attributes in its patterns, and by one for phrases."""
    keys, settings = set(), dict(part)
    for file in (folder / name / "patterns", *_pattern_files(folder / name)):
        if file.is_file():
            lines = file.read_text(encoding="utf-8").split("\n")
            keys |= _keys(json.loads(line).get("pattern") for line in lines if line.strip())
    if (cfg := folder / name / "cfg").is_file():
        settings["phrase"] = json.loads(cfg.read_bytes()).get("phrase_matcher_attr")
    keys |= {_name(settings.get(each)) for each in ("phrase", "phrase_matcher_attr")}
    matches = frozenset(keys & _MATCHED.keys())
    reads = _words(matches) | {"tokens", "ents"}
    if not str((settings.get("ents_filter") or {}).get("@misc", "spacy.")).startswith("spacy."):
        reads |= {ANYTHING}
    is_for_spans = settings["factory"] == "span_ruler"
    sets = {"spans"} if is_for_spans else {"ents"}
    if is_for_spans and settings.get("annotate_ents"):
        sets.add("ents")
    return Pipe(name, frozenset(sets), reads, matches)


def _pattern_files(data: Path) -> tuple[Path, ...]:
    return data / "patterns.jsonl", data.with_suffix(".jsonl")


def _attribute_ruler(name: str, folder: Path) -> Pipe:
    """What it reads and sets is said by its own patterns, too."""
    file = folder / name / "patterns"
    entries = msgpack.unpackb(file.read_bytes()) if file.is_file() else []
    reads = _words(_keys(each["patterns"] for each in entries))
    return Pipe(name, _words(_keys(each["attrs"] for each in entries)), reads | {"tokens"})


def _words(keys: Iterable[str]) -> frozenset[str]:
    return frozenset(word for key in keys for word in _MATCHED.get(key, ()))


def _keys(patterns: Iterable[Any]) -> set[str]:
    """The attributes named in patterns: the keys of their tokens."""
    found = set()
    for each in patterns:
        if isinstance(each, Mapping):
            found |= {_name(key) for key in each}
        elif isinstance(each, list | tuple):
            found |= _keys(each)
    return found


def _name(attribute: object) -> str:
    """An attribute's name, which may be given in any case, or as its number."""
    from spacy.attrs import NAMES

    return NAMES[attribute] if isinstance(attribute, int) else str(attribute).upper()
