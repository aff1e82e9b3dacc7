"""A model is its weights and its settings, whatever it is called and however it is packed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from daskingest import models
from daskingest.models import find_model, model_identity, model_version, same_model


def copy_of(folder: Path, name: str, version: str) -> Path:
    """The model that is installed, as a folder with a name of its own."""
    copy = folder / f"{name}-{len(list(folder.iterdir()))}"
    shutil.copytree(models._folder(find_model()), copy)
    meta = json.loads((copy / "meta.json").read_text())
    meta |= {"name": name, "version": version, "description": "another", "author": name}
    (copy / "meta.json").write_text(json.dumps(meta))
    return copy


def test_copies_are_the_same_model_whatever_they_are_called(tmp_path: Path) -> None:
    installed = model_identity(find_model())
    copy = copy_of(tmp_path, "core_web_sm", "9.9.9")
    (copy / "README.md").unlink()
    (copy / "accuracy.json").write_text("{}")
    config = (copy / "config.cfg").read_text()
    config = config.replace("train = null", 'train = "here.spacy"').replace("seed = 0", "seed = 7")
    (copy / "config.cfg").write_text(config)
    assert model_version(str(copy)) == "en_core_web_sm-9.9.9"
    assert model_identity(str(copy)) != installed
    assert same_model(model_identity(str(copy)), installed)


def test_code_that_a_package_brings_is_a_part_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    packages = [tmp_path / name for name in ("plain_one", "with_code", "with_other_code")]
    for package in packages:
        shutil.copytree(models._folder(find_model()).parent, package)
    for package, value in zip(packages[1:], (1, 2), strict=True):
        (package / "parts.py").write_text(f"VALUE = {value}\n")
    plain, one, other = (model_identity(package.name) for package in packages)
    assert same_model(plain, model_identity(find_model()))
    assert len({plain, one, other}) == 3
    with (packages[0] / "__init__.py").open("a") as out:
        out.write("class Tokenizer: ...\n")
    model_identity.cache_clear()
    assert not same_model(model_identity("plain_one"), plain)


def flip_a_weight(folder: Path) -> None:
    path = folder / "ner" / "model"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def set_otherwise(folder: Path) -> None:
    path = folder / "config.cfg"
    path.write_text(path.read_text().replace("spacy.Tokenizer.v1", "other.Tokenizer.v1"))


def add_rules(folder: Path) -> None:
    (folder / "entity_ruler").mkdir()
    (folder / "entity_ruler" / "patterns.jsonl").write_text("{}")


@pytest.mark.parametrize("change", [flip_a_weight, set_otherwise, add_rules])
def test_two_that_were_trained_are_told_apart(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    one, other = (copy_of(tmp_path, "pipeline", "0.0.0") for _ in range(2))
    change(other)
    assert model_version(str(one)) == model_version(str(other)) == "en_pipeline-0.0.0"
    assert not same_model(model_identity(str(one)), model_identity(str(other)))


def test_what_earlier_versions_wrote_is_known_by_name_and_version() -> None:
    now = model_identity(find_model())
    assert now.startswith("en_core_web_sm-3.8.0 ")
    assert same_model("en_core_web_sm-3.8.0", now)
    assert same_model(now, "en_core_web_sm-3.8.0")
    assert not same_model("en_core_web_sm-3.7.0", now)
