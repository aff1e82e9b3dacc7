"""What run-csv is compared with: scripts that count the same, or of which is said what is wrong."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from daskingest.articles import Article
from daskingest.benchmarks import environment
from daskingest.benchmarks.environment import PEERS, Environment, last_line
from daskingest.benchmarks.figures import Rates
from daskingest.benchmarks.peer_runs import (
    NLP_PIPE,
    PEERS_OF_RUN_CSV,
    SPACY_3_7_5,
    Peer,
    Runner,
    counts_in,
    difference,
)
from daskingest.benchmarks.turns import Turns, write_articles
from daskingest.errors import DaskingestError
from daskingest.models import find_model, load_pipeline

ARTICLES = [
    Article(f"{name} met\nAngela  Merkel in Berlin, and 300 others.", "The\u00a0Post")
    for name in ("Barack Obama", "Nicolas Sarkozy", "Gordon Brown")
]


@pytest.fixture
def turns(tmp_path: Path) -> Turns:
    """run-csv's and the others', with a few articles and one process."""
    model = find_model()
    path = load_pipeline(model, entities_only=True).path
    file = write_articles(tmp_path / "articles.csv", 60 * ARTICLES)
    said: list[str] = []
    return Turns(file, file, model, Runner(tmp_path, path, 1), Rates(), {}, said.append, [])


def script(turns: Turns, name: str, text: str) -> Peer:
    """A peer of its own."""
    (turns.runner.folder / "peers").mkdir(exist_ok=True)
    (turns.runner.folder / "peers" / f"{name}.py").write_text(text)
    return Peer(name, name, f"run_csv_vs_{name}")


def test_how_counts_differ() -> None:
    counts = Counter({("p", "", ""): 2, ("p", "paris", "GPE"): 3})
    assert difference(counts, counts.copy()) == "the same"
    other = counts + Counter({("p", "paris", "ORG"): 1})
    other["p", "paris", "GPE"] = 2
    assert difference(other, counts) == "2 of 2 counters differ"


def test_what_a_program_said_at_last() -> None:
    assert last_line("a\n  b \n\n") == "b"
    assert last_line("") == ""


def test_every_version_is_pinned_and_no_address_is_named() -> None:
    files = sorted(PEERS.glob("*.txt"))
    named = {each.environment for each in (SPACY_3_7_5, *PEERS_OF_RUN_CSV) if each.environment}
    assert files == sorted(each.constraints for each in named)
    for line in (line for file in files for line in file.read_text().splitlines()):
        name, version = line.split("==")
        assert name and version and "/" not in line


def test_what_cannot_be_installed_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(environment, "PEERS", tmp_path)
    (tmp_path / "constraints-none.txt").write_text("")
    with pytest.raises(DaskingestError, match="No matching distribution found for no-such-thing"):
        Environment("none").python(("no-such-thing",))
    with pytest.raises(DaskingestError, match="and there is none"):
        Environment("none", newest=9).python(())


def test_one_that_fails_costs_one_line(turns: Turns) -> None:
    fails = script(turns, "fails", "raise SystemExit('no\\nsuch luck')")
    silent = script(turns, "silent", "")
    turns.peers += [fails, silent]
    for each in (fails, silent):
        turns._run(each, turns.theirs)
    assert turns.peers == []
    assert turns.said == {
        "fails": {"failed": "failed: such luck"},
        "silent": {"failed": "failed: it ended with 0"},
    }


@pytest.mark.slow
def test_spacy_counts_the_same_and_who_does_not_is_told_so(turns: Turns) -> None:
    wrong = dataclasses.replace(NLP_PIPE, name="wrong", script="wrong")
    turns.peers = [NLP_PIPE]
    turns.take()
    text = (PEERS / "nlp_pipe.py").read_text()
    script(turns, "wrong", text.replace("part.count(doc.text", "part.count(doc.text[1:]"))
    assert turns.said[NLP_PIPE.name]["counts"] == "the same"
    changed = text.replace("doc.ents)", "doc.ents[1:])")
    assert changed != text
    script(turns, "wrong", changed)
    turns._run(wrong, turns.theirs)
    assert "counters differ" in turns.said["wrong"]["counts"]
    assert turns.rates.of["run-csv"][0] > 0
    assert turns.rates.of[NLP_PIPE.name][0] > 0
    counted = counts_in(f"sqlite:///{turns.runner.folder}/bench.db")
    assert counted["the post", "", ""] == 180
    assert counted["the post", "angela merkel", "PERSON"] == 180
