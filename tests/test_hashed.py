"""Hash embeddings are what the layers of a model compute, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import spacy
from spacy.attrs import NORM, SHAPE, SUFFIX
from spacy.ml.models.tok2vec import MultiHashEmbed

from daskingest.recognizer.hashed import HashEmbeddings

COLUMNS = [SHAPE, NORM, SUFFIX]


@pytest.mark.parametrize("rows", [0, 1, 50])
@pytest.mark.parametrize("width", [7, 96])
def test_they_equal_those_of_the_layers(rows: int, width: int) -> None:
    embed = initialized(MultiHashEmbed(width, ["NORM", "SHAPE"], [300, 20], False))
    layers = embed.layers[:-2]
    assert HashEmbeddings.are(layers)
    attributes = np.random.default_rng(0).integers(2**63, size=(rows, 3), dtype=np.uint64)
    wanted = layers[2].layers[0].predict(attributes[:, [1, 0]])
    found = HashEmbeddings(layers, COLUMNS)(attributes)
    assert found.shape == (rows, 2 * width)
    assert (found.view(np.int32) == wanted.view(np.int32)).all()


@pytest.mark.parametrize(("attributes", "vectors"), [(["NORM"], False), (["NORM", "SHAPE"], True)])
def test_other_embeddings_are_left_to_their_layers(attributes: list[Any], vectors: bool) -> None:
    embed = MultiHashEmbed(8, attributes, [20] * len(attributes), vectors)
    assert not HashEmbeddings.are(embed.layers[:-2])


def initialized(embed: Any) -> Any:
    nlp = spacy.blank("en")
    embed.initialize([nlp("one two")])
    return embed
