"""What must be the same wherever articles are counted: daskingest, spaCy, Dask and the model."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import daskingest
from daskingest.models import model_identity, same_model

_HOW = {
    "daskingest": "install the same daskingest there",
    "spacy": "install the same spaCy there",
    "dask": "install the same Dask there",
    "distributed": "install the same Dask there",
    "model": "install or copy the same model there",
}


@dataclass(frozen=True, slots=True)
class Versions:
    """What a process counts with. `model` is empty where it has no need of one."""

    daskingest: str
    spacy: str
    dask: str
    distributed: str
    model: str = ""


def versions_here(model: str = "") -> Versions:
    """Those of this process. Raises UsageError if the model isn't here."""
    return Versions(
        f"{daskingest.__version__} (code {_code_digest()})",
        metadata.version("spacy"),
        metadata.version("dask"),
        metadata.version("distributed"),
        model_identity(model) if model else "",
    )


def differences(theirs: Versions, ours: Versions) -> Iterator[str]:
    """What differs, and what to do about it. A model that they have no need of may."""
    mine: Mapping[str, str] = asdict(ours)
    for name, version in asdict(theirs).items():
        same = same_model(version, mine[name]) if name == "model" else version == mine[name]
        if version and not same:
            yield f"its {name} is {version}, the driver's is {mine[name]}: {_HOW[name]}"


@functools.cache
def _code_digest() -> str:
    """Tells two states of the program from each other that have the same version."""
    folder = Path(daskingest.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
