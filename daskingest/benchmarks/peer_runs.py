"""Runs the scripts in `peers/` on a file of articles, and compares what they count."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daskingest.articles import publication_key
from daskingest.benchmarks.environment import PEERS, Environment, last_line
from daskingest.errors import DaskingestError
from daskingest.stores import open_store

Counts = Counter[tuple[str, str, str]]
"""By publication, word and label; a publication's articles have neither word nor label."""

_TODAY, _OLD_SPACY = Environment("today"), Environment("3.7.5", newest=12)
_PATIENCE = 3_600  # seconds: one that takes longer hangs


@dataclass(frozen=True, slots=True)
class Peer:
    """A script, and the figure that its rate is part of.

    Without an environment, it is run by the Python that runs this.
    """

    name: str
    script: str
    figure: str
    environment: Environment | None = None
    requirements: tuple[str, ...] = ()

    def python(self) -> str:
        """What runs it. Raises DaskingestError if it can't be installed."""
        if self.environment is None:
            return sys.executable
        return str(self.environment.python(self.requirements))


NLP_PIPE = Peer("nlp.pipe in processes", "nlp_pipe", "run_csv_vs_nlp_pipe")
SPACY_3_7_5 = Peer(
    *("spaCy 3.7.5's nlp.pipe, ner only", "one_process", "recognizer_vs_spacy_3_7_5"),
    *(_OLD_SPACY, ("spacy==3.7.5", "click")),
)
PEERS_OF_RUN_CSV = (
    Peer("older design in processes", "older_design", "run_csv_vs_older_design"),
    Peer("spacy apply", "spacy_apply", "run_csv_vs_spacy_apply"),
    Peer("Ray Data", "ray_data", "run_csv_vs_ray_data", _TODAY, ("ray[data]", "spacy")),
    Peer("datatrove", "datatrove_steps", "run_csv_vs_datatrove", _TODAY, ("datatrove", "spacy")),
)


@dataclass(frozen=True, slots=True)
class PeerReport:
    """What a peer came to, its start-up excluded."""

    words_per_second: float
    versions: dict[str, str]
    counts: Counts


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs peers in a folder, with a model's files and so many processes."""

    folder: Path
    model: Path
    workers: int

    def run(self, peer: Peer, file: Path) -> PeerReport:
        """One of them, on a file of articles. Raises DaskingestError, in one line, if it fails."""
        if not (self.folder / "peers").exists():  # alone, so that they import nothing of ours
            shutil.copytree(PEERS, self.folder / "peers")
        out = self.folder / f"{peer.script}.json"
        out.unlink(missing_ok=True)
        command = [peer.python(), "-m", f"peers.{peer.script}"]
        command += [str(file.absolute()), str(self.model), str(self.workers), str(out.absolute())]
        environment = {**os.environ, "PYTHONPATH": str(self.folder.absolute())}
        try:
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                cwd=self.folder,
                env=environment,
            )
        except subprocess.TimeoutExpired as error:
            raise DaskingestError(f"it did not end within {_PATIENCE} s") from error
        if done.returncode or not out.exists():
            raise DaskingestError(last_line(done.stderr) or f"it ended with {done.returncode}")
        return _report(json.loads(out.read_text()))


def _report(found: dict[str, Any]) -> PeerReport:
    rows = {(publication, word, label): n for publication, word, label, n in found["counts"]}
    return PeerReport(found["words_per_second"], found["versions"], Counter(rows))


def counts_in(store: str) -> Counts:
    """What run-csv has counted into the store at a URL."""
    counts: Counts = Counter()
    with open_store(store) as opened:
        for each in opened.publications():
            counts[each.key, "", ""] = each.count
        for publication, word, label, number, *_ in opened.all_words():
            counts[publication_key(publication), word, label] = number
    return counts


def difference(counts: Counts, reference: Counts) -> str:
    """How counts differ, in words; "the same" if they don't."""
    keys = counts.keys() | reference.keys()
    wrong = sum(counts[each] != reference[each] for each in keys)
    if not wrong:
        return "the same"
    return f"{wrong:,} of {len(reference):,} counters differ"
