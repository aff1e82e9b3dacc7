"""What a process gives back of the machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from daskingest.pipeline.template import ENVIRONMENT

_PROGRAM = """
import threading

import psutil

from daskingest.resources import trim_memory


def work():
    several = [bytearray(1 << 20) for _ in range(200)]
    kept.append(several[::50])  # the allocator has to look between these


kept, threads = [], [threading.Thread(target=work) for _ in range(2)]
for each in threads:
    each.start()
for each in threads:
    each.join()
before = psutil.Process().memory_info().rss
trim_memory()
print(before - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="that keeps nothing")
def test_what_threads_have_freed_is_given_back() -> None:
    """With the settings of a worker, which keeps much of it."""
    environment = os.environ | {name: str(value) for name, value in ENVIRONMENT.items()}
    command = [sys.executable, "-c", _PROGRAM]
    given = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert int(given.stdout) > 200 << 20
