"""Keyness: which words are typical of a publication, compared with others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_PRIOR = 500.0  # weight of the prior, in words: keeps rare words from winning

CHANCE = 1.96
"""A z-score that 5 % of words have or exceed, either way, though there is no difference."""


@dataclass(frozen=True, slots=True)
class TypicalWord:
    """A word, how often it occurs here and elsewhere, and the z-score of the difference."""

    word: str
    count: int
    elsewhere: int
    z: float


def typical_words(
    counts: Mapping[str, Mapping[str, int]], limit: int
) -> dict[str, list[TypicalWord]]:
    """The words most typical of each publication, compared with the others, by z-score descending.

    `counts` has, by publication, the counts of the same words (0 may be left out). The score is
    the log-odds ratio with an informative Dirichlet prior, divided by its standard deviation
    (Monroe, Colaresi and Quinn, "Fightin' Words: Lexical Feature Selection and Evaluation for
    Identifying the Content of Political Conflict", Political Analysis 16(4), 2008, equations 16,
    20 and 22); the prior is the counts of all publications together. Only words that are more
    frequent here than elsewhere are returned, at most `limit`.
    """
    pooled: dict[str, int] = {}
    for words in counts.values():
        for word, count in words.items():
            pooled[word] = pooled.get(word, 0) + count
    everything = sum(pooled.values())

    def score(word: str, here: int, all_here: int) -> float:
        there, all_there = pooled[word] - here, everything - all_here
        prior = _PRIOR * pooled[word] / everything
        odds_here = (here + prior) / (all_here + _PRIOR - here - prior)
        odds_there = (there + prior) / (all_there + _PRIOR - there - prior)
        variance = 1 / (here + prior) + 1 / (there + prior)
        return (math.log(odds_here) - math.log(odds_there)) / math.sqrt(variance)

    found: dict[str, list[TypicalWord]] = {}
    for publication, words in counts.items():
        total = sum(words.values())
        if len(pooled) < 2:  # with a single word, its odds are infinite
            found[publication] = []
            continue
        scored = [
            TypicalWord(word, count, pooled[word] - count, score(word, count, total))
            for word, count in words.items()
            if count
        ]
        scored = [each for each in scored if each.z > 0]
        scored.sort(key=lambda each: (-each.z, each.word))
        found[publication] = scored[:limit]
    return found
