"""How long `run-csv` takes to start."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from daskingest.errors import DaskingestError

_SAMPLE = Path(__file__).parent.parent / "sample.csv"
_BEGUN = ": begun by "  # what the driver logs of a task


def startup_seconds(workers: int | None = None) -> float:
    """From the command to its first task's beginning on a worker. Raises DaskingestError."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder).absolute() / 'benchmark.db'}"
        command = [sys.executable, "-m", "daskingest", "run-csv", str(_SAMPLE), "--store", store]
        command += ["--rejects", f"{folder}/rejects.jsonl", "--log-level", "debug"]
        if workers is not None:
            command += ["--workers", str(workers)]
        started, seconds = time.perf_counter(), None
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if seconds is None and _BEGUN in line:
                    seconds = time.perf_counter() - started
    if process.returncode or seconds is None:
        raise DaskingestError(f"run-csv failed: {''.join(said[-3:]).strip()}")
    return seconds
