"""Less memory than the machine has, so that what is measured can't live in the page cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
_NAME = "daskingest-bench-"


@contextmanager
def limited_memory(limit: int | None) -> Iterator[str]:
    """Run this process, and those that it starts, with so many bytes, page cache included.

    Gives a sentence on what came of it: where the kernel refuses, all goes on with what there is.
    """
    if limit is None:
        yield "memory not limited"
        return
    here = _group()
    _remove_old(here)
    inside = here / f"{_NAME}{os.getpid()}"
    try:
        inside.mkdir()
        name = "memory.limit_in_bytes" if here.is_relative_to(_V1) else "memory.max"
        try:
            (inside / name).write_text(str(limit))
            (inside / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            inside.rmdir()
            raise
    except OSError as error:
        yield f"memory not limited: {error}"
        return
    try:
        yield f"memory limited to {limit / 2**30:.1f} GiB, page cache included"
    finally:
        (here / "cgroup.procs").write_text(str(os.getpid()))
        with suppress(OSError):  # a process is still ending: the next benchmark removes it
            inside.rmdir()


def _remove_old(here: Path) -> None:
    """Those of benchmarks that have ended, however they did."""
    for each in here.glob(f"{_NAME}*"):
        if not Path(f"/proc/{each.name.removeprefix(_NAME)}").exists():
            with suppress(OSError):
                each.rmdir()


def _group() -> Path:
    """This process' own group, of the memory controller or of all of them."""
    file = Path("/proc/self/cgroup")
    lines = file.read_text().splitlines() if file.exists() else []
    groups = dict(line.split(":", 2)[1:] for line in lines)
    v1 = next((path for name, path in groups.items() if "memory" in name.split(",")), None)
    root, path = (_V2, groups.get("", "/")) if v1 is None else (_V1, v1)
    return root / path.lstrip("/")
