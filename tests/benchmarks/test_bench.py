"""The benchmark suite runs on any machine, and its JSON has what other programs read."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

KEYS = {
    "recognizer_vs_nlp_pipe",
    "recognizer_vs_older_design",
    "recognizer_vs_bare_products",
    "recognizer_words_per_second",
    "encoder_vs_peak",
    "run_csv_efficiency",
    "run_csv_vs_nlp_pipe",
    "commit_growth",
    "saver_batches_per_second",
    "driver_tasks_per_second",
    "firestore_writes_vs_floor",
    "startup_seconds",
    "recognizer_vs_tokenizer",
}


@pytest.mark.slow
def test_the_suite_tells_its_ratios() -> None:
    command = [sys.executable, "-m", "daskingest", "bench", "--quick", "--json"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    print(result.stdout)
    assert report.keys() >= KEYS
    assert all(report[key] > 0 for key in KEYS)
    # Far from what is reached anywhere, but a recognizer left to spaCy would be at 1.
    assert report["recognizer_vs_nlp_pipe"] > 3
    assert report["peers"]["nlp.pipe in processes"]["counts"] == "the same"
    assert report["growth"].keys() == {"input", "store", "workers"}
    assert report["expected"]["seconds"] > 0
