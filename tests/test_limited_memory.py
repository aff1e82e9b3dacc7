"""Benchmarks with less memory: where the kernel refuses it, all goes on with what there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from daskingest.benchmarks.memory import limited_memory

TAKES_TOO_MUCH = """
from daskingest.benchmarks.memory import limited_memory

with limited_memory(200 << 20) as said:
    print(said, flush=True)
    taken = bytearray(400 << 20)
print("took it")
"""


def test_all_is_as_before_afterwards() -> None:
    groups = Path("/proc/self/cgroup")
    before = groups.read_text() if groups.exists() else ""
    with limited_memory(8 << 30) as said:
        assert said.startswith(("memory limited to 8.0 GiB", "memory not limited: "))
    assert (groups.read_text() if groups.exists() else "") == before
    with limited_memory(None) as said:
        assert said == "memory not limited"


def test_a_limit_is_one() -> None:
    command = [sys.executable, "-c", TAKES_TOO_MUCH]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    refused = result.stdout.startswith("memory not limited")
    assert ("took it" in result.stdout) is refused, result.stderr
    with limited_memory(8 << 30):
        pass  # and removes what was left of that
