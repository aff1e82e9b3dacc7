"""What must be the same on all machines, and what is said where it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daskingest.errors import UsageError
from daskingest.models import find_model
from daskingest.pipeline.cluster import LoadModel
from daskingest.pipeline.versions import Versions, differences, versions_here
from daskingest.settings import RecognizerKind

OURS = Versions("0.1.0 (code aa)", "3.8.18", "2026.8.0", "2026.8.0", "en_a-1.0 0123")


def test_what_is_the_same_differs_in_nothing() -> None:
    assert list(differences(OURS, OURS)) == []
    assert list(differences(replace(OURS, model=""), OURS)) == []  # a saver has none
    assert list(differences(replace(OURS, model="en_b-2.0 0123"), OURS)) == []


def test_each_thing_that_differs_is_named() -> None:
    theirs = Versions("0.1.0 (code bb)", "3.8.2", "2026.7.1", "2026.8.0", "en_a-1.0 4567")
    assert list(differences(theirs, OURS)) == [
        "its daskingest is 0.1.0 (code bb), the driver's is 0.1.0 (code aa): "
        "install the same daskingest there",
        "its spacy is 3.8.2, the driver's is 3.8.18: install the same spaCy there",
        "its dask is 2026.7.1, the driver's is 2026.8.0: install the same Dask there",
        "its model is en_a-1.0 4567, the driver's is en_a-1.0 0123: "
        "install or copy the same model there",
    ]


def test_a_worker_knows_what_is_wrong_with_it() -> None:
    model = find_model()
    here = versions_here(model)
    assert plugin(model, here)._wrong(extracts=True) == ""
    other = plugin(model, replace(here, model="en_x-1.0 0"))
    assert "its model is" in other._wrong(extracts=True)
    assert other._wrong(extracts=False) == ""
    assert "xx_none is not a spaCy model" in plugin("xx_none", here)._wrong(extracts=True)


def plugin(model: str, expected: Versions) -> LoadModel:
    return LoadModel(model, RecognizerKind.FAST, expected, "client")


def test_a_model_that_is_not_here_is_said() -> None:
    with pytest.raises(UsageError, match="xx_none"):
        versions_here("xx_none")
