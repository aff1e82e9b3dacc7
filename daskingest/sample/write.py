"""Writes a file of made-up articles, on all cores."""

from __future__ import annotations

import bisect
import csv
import io
import itertools
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

from dask.system import CPU_COUNT

from daskingest.errors import UsageError
from daskingest.files import completed
from daskingest.sample.learned import learn
from daskingest.sample.maker import BLOCK, HEADER, Block, Maker

_FEW = 10 * BLOCK  # articles: other processes take longer to start than to make them


def write_sample(
    out: Path,
    articles: int | None,
    size: int | None,
    seed: int,
    progress: Callable[[int, int], None],
    publications: int | None = None,
) -> tuple[int, int]:
    """Write so many articles, or at least so many bytes. Returns the articles and bytes written.

    The file appears when it is complete. `progress` is called regularly with both numbers. Raises
    UsageError if there is a file of this name, if there is no room, or if it can't be written.
    """
    if out.exists():
        raise UsageError(f"there is a file {out} already; name another, or remove it")
    with completed(out) as part:
        free = shutil.disk_usage(out.absolute().parent).free
        if size is not None and size > free:
            raise UsageError(f"no room for {size:,} bytes at {out}: {free:,} bytes are free")
        with part.open("wb") as file:
            maker = Maker(learn(), seed, publications)
            few = (articles or 0) <= _FEW and (size or 0) <= _FEW * 3_000
            return _write(file, blocks(maker, 0 if few else CPU_COUNT), articles, size, progress)


def blocks(maker: Maker, processes: int) -> Iterator[Block]:
    """All blocks in turn, without an end, made by so many processes; 0: by this one."""
    if not processes:
        yield from map(maker.block, itertools.count())
    spawn = get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, initializer=_start, initargs=(maker,)) as pool:
        coming: deque[Future[Block]] = deque()
        try:
            for number in itertools.count():
                coming.append(pool.submit(_block, number))
                if len(coming) > 2 * processes:
                    yield coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


_maker: Maker | None = None
"""In a process of `blocks`."""


def _start(maker: Maker) -> None:
    global _maker  # noqa: PLW0603
    _maker = maker


def _block(number: int) -> Block:
    assert _maker is not None
    return _maker.block(number)


def header() -> bytes:
    """The first line of a file."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(HEADER)
    return line.getvalue().encode()


def _write(
    file: BinaryIO,
    several: Iterator[Block],
    articles: int | None,
    size: int | None,
    progress: Callable[[int, int], None],
) -> tuple[int, int]:
    count, written = 0, file.write(header())
    for block in several:
        rows = len(block.ends) if articles is None else min(BLOCK, articles - count)
        if size is not None:
            rows = min(rows, bisect.bisect_left(block.ends, size - written) + 1)
        end = block.ends[rows - 1]
        file.write(memoryview(block.text)[:end])
        count, written = count + rows, written + end
        progress(count, written)
        if count == articles or (size is not None and written >= size):
            break
    return count, written
