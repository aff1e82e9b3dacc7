"""Checks of the machine: cores, memory, disk, open files."""

from __future__ import annotations

import resource
import shutil
import tempfile
from pathlib import Path

from daskingest.doctor.finding import Finding, ok, problem, warning

_WORKER, _OTHER = 0.5 * 2**30, 0.25 * 2**30
"""Memory of a worker, and of each other process, in bytes."""
_LONG_TEXT = 3 * 2**30
"""Additional memory of a worker while it reads a text of a million characters, in bytes."""
_LITTLE_DISK = 1 << 30
_FILES = 256  # of one process, before anybody connects
_FILES_PER_WORKER = 16


def check_cores(workers: int, usable: int) -> Finding:
    """Whether there is a usable core for each worker."""
    found = f"{_workers(workers)} on {usable} cores"
    if workers > usable:
        return warning(
            "cores", f"{found}: they will compete for them", f"ask for fewer: --workers {usable}"
        )
    return ok("cores", found)


def check_memory(workers: int, free: int, savers: int = 1) -> Finding:
    """Whether the memory, in bytes, is enough for so many workers; 0 if they run elsewhere.

    There is also a process for each saver, and this one.
    """
    others = _OTHER * (1 + savers if workers else 1)
    needed = _WORKER * workers + others
    found = f"{_gib(free)} free, {_workers(workers)} and daskingest itself take {_gib(needed)}"
    if needed > free:
        most = int((free - others) / _WORKER)
        fewer = f"ask for fewer: --workers {most}" if 0 < most < workers else "free some"
        return problem("memory", found, fewer)
    if workers and needed + _LONG_TEXT > free:
        return warning(
            "memory",
            f"{found}, and a text of a million characters {_gib(_LONG_TEXT)} more",
            "ask for fewer --workers if you have such texts",
        )
    return ok("memory", found)


def check_disk(folder: Path, wanted: int) -> Finding:
    """Whether a folder can be written or created, and has room for so many bytes."""
    name = "disk"
    place = existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return problem(
            name, f"cannot write in {place}: {error.strerror}", "name another with --data-dir"
        )
    free = shutil.disk_usage(place).free
    found = f"{_gib(free)} free for {folder}"
    if free < _LITTLE_DISK:
        return problem(name, found, "free some, or name another folder with --data-dir")
    if free < wanted:
        return warning(
            name,
            f"{found}, and the service's spool may grow to {_gib(wanted)}",
            "free some, or serve with a smaller --max-spool-bytes",
        )
    return ok(name, found)


def existing(path: Path) -> Path:
    """The path, or its closest parent that exists."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.exists())


def check_files(workers: int, limit: int | None = None) -> Finding:
    """Whether enough files may be open at once; `limit` is this process's by default."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    needed = _FILES + _FILES_PER_WORKER * workers
    if limit == resource.RLIM_INFINITY:
        return ok("open files", "no limit")
    found = f"up to {limit:,}; {_workers(workers)} take {needed:,} of them"
    if limit < needed:
        raised = f"`ulimit -n {2 * needed}`, or LimitNOFILE={2 * needed} in a systemd unit"
        return problem("open files", found, f"allow more: {raised}")
    return ok("open files", f"{found}, and each client of the service takes one more")


def _workers(number: int) -> str:
    return f"{number} worker{'' if number == 1 else 's'}"


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
