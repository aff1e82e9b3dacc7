"""The matrix products that are left to numpy: which library computes them, and how fast.

For a model that the recognizer computes they are few, a tenth of the work at most; even so, a
library as slow as a reference implementation can double the time, and more with other models.

`python -m daskingest.doctor.blas` measures, and prints JSON. In a process of its own, numpy starts
with one thread, as on a worker, and a crash of the library does no harm.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from daskingest.doctor.finding import Finding, ok, problem, warning

_ROWS, _WIDTH = 384, 288  # as large as in a model like en_core_web_sm
_SECONDS = 0.2
_PATIENCE = 60.0
_FAR_BELOW = 0.3
_BETTER = 2.5
_CHOICE = "OPENBLAS_CORETYPE"


@dataclass(frozen=True, slots=True)
class Products:
    """Which library computes numpy's matrix products, and its rate on one thread, in GFLOP/s."""

    numpy: str
    library: str
    rate: float


def measure() -> Products:
    """Measure in this process; the best of many rounds, to exclude the load of other processes."""
    import numpy as np

    left = np.ones((_ROWS, _WIDTH), np.float32)
    right = np.ones((_WIDTH, _WIDTH), np.float32)
    out = np.empty((_ROWS, _WIDTH), np.float32)
    best = float("inf")
    end = time.perf_counter() + _SECONDS
    while (started := time.perf_counter()) < end:
        np.matmul(left, right, out=out)
        best = min(best, time.perf_counter() - started)
    return Products(np.__version__, library(), 2e-9 * left.size * _WIDTH / best)


def library() -> str:
    """The library that is loaded, its version and kernels.

    It can differ from the one that numpy was built with.
    """
    import numpy as np
    from threadpoolctl import threadpool_info

    for each in threadpool_info():
        if each["user_api"] == "blas":
            parts = (each["internal_api"], each["version"], each.get("architecture"))
            return " ".join(part for part in parts if part)
    built = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return f"{built.get('name', 'unknown')} (according to numpy's build)"


def measured(environment: Mapping[str, str]) -> Products:
    """Measure in a process with this environment. Raises RuntimeError if numpy doesn't work."""
    same = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    same["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "daskingest.doctor.blas"],
        env={**environment, **same},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(lines[-1])
    return Products(**json.loads(done.stdout))


def expected_rate(cpuinfo: str) -> float:
    """GFLOP/s of a processor at its nominal frequency, according to /proc/cpuinfo.

    With AVX2, 32 operations per cycle; else 8. Processors with AVX-512 may do twice as many.
    """
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    fields = {name.strip(): value for name, _, value in lines}
    operations = 32 if {"avx2", "fma"} <= set(fields.get("flags", "").split()) else 8
    return operations * float(fields.get("cpu MHz", 2500)) / 1000


def check_products(products: Products, expected: float, free: Products | None = None) -> Finding:
    """Judge the rate; `free` is the rate if OpenBLAS chooses its kernels by itself."""
    name = "BLAS"
    found = f"numpy {products.numpy} with {products.library}: {products.rate:.0f} GFLOP/s"
    if free is not None and free.rate > _BETTER * products.rate:
        return warning(
            name,
            f"{found} with {_CHOICE} set, and {free.rate:.0f} without it",
            f"unset {_CHOICE}",
        )
    if products.rate < _FAR_BELOW * expected:
        return warning(
            name,
            f"{found}, far below the {expected:.0f} or so that this processor can do, which can "
            "double the time that counting takes",
            "use a numpy with OpenBLAS: pip's, or `conda install 'libblas=*=*openblas'`",
        )
    return ok(name, found)


def check_blas(environment: Mapping[str, str], cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    """Measure and judge. If the environment sets the kernels, measure without that too."""
    try:
        products = measured(environment)
        others = {name: value for name, value in environment.items() if name != _CHOICE}
        free = measured(others) if environment.get(_CHOICE) else None
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        return problem(
            "BLAS", f"numpy cannot multiply matrices: {error}", "install numpy again with pip"
        )
    expected = expected_rate(cpuinfo.read_text() if cpuinfo.exists() else "")
    return check_products(products, expected, free)


if __name__ == "__main__":
    print(json.dumps(asdict(measure())))
