"""How much processor time it takes to cut a file, against counting its lines."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections import deque
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from daskingest.sources.csvfile import open_csv

_SAMPLE = Path(__file__).parent.parent / "sample.csv"
_BYTES = 256 << 20
_TURNS = 5


def splitter_vs_wc(file: Path | None = None) -> float:
    """Processor time of cutting a file, with checksums, as a multiple of that of `wc -l`.

    The least of several turns of each; the file, by default 256 MiB of the sample, is in memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = file or repeated_sample(Path(folder))
        cutting, counting = [], []
        for _ in range(_TURNS):
            started = time.process_time()
            deque(open_csv(str(file)).ranges(), maxlen=0)
            cutting.append(time.process_time() - started)
            started = _of_children()
            subprocess.run(["wc", "-l", file], stdout=subprocess.DEVNULL, check=True)
            counting.append(_of_children() - started)
    return min(cutting) / min(counting)


def _of_children() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def repeated_sample(folder: Path) -> Path:
    """A file of 256 MiB in a folder: the sample's rows, again and again."""
    header, _, rows = _SAMPLE.read_bytes().partition(b"\n")
    file = folder / "repeated.csv"
    with file.open("wb") as out:
        out.write(header + b"\n")
        for _ in range(_BYTES // len(rows)):
            out.write(rows)
    return file
