"""What of the machine this process may use."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """How many cores this process may use, as a new cluster counts them.

    Limits set by a container or an administrator are taken into account.
    """
    from dask.system import CPU_COUNT

    return CPU_COUNT


def free_memory(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> int:
    """Available memory in bytes: the machine's, or less if a container's limit leaves less."""
    import psutil

    free: int = psutil.virtual_memory().available
    for group in _groups(cgroups, own):
        limit = _number(group / "memory.max", group / "memory.limit_in_bytes")
        used = _number(group / "memory.current", group / "memory.usage_in_bytes")
        if limit is not None and used is not None:
            cached = _statistics(group / "memory.stat").get("inactive_file", 0)
            free = min(free, max(0, limit - used + cached))
    return free


def trim_memory() -> None:
    """Let the system have what this process has freed: what each thread's, and Arrow's, allocator
    keeps for later use may be several times what is used. Not while memory is used anew at once:
    to get it again is slow.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)


def _groups(cgroups: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's control groups, of either version."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        base = cgroups / controllers if controllers else cgroups
        group = base / path.lstrip("/")
        yield from (each for each in (group, *group.parents) if each.is_relative_to(base))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(*paths: Path) -> int | None:
    """The number in the first of these files that has one."""
    texts = (_text(path).strip() for path in paths)
    return next((int(text) for text in texts if text.isdecimal()), None)


def _statistics(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {name: int(value) for name, value in pairs}
