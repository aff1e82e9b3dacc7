"""A run of two workers, and what it took in figures that no clock has a part in.

`python guarded.py FILE STORE` prints them as JSON: a program of its own, for its processes, modules
and sockets are counted. The kernel counts what goes over sockets.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import distributed.scheduler
import psutil
from distributed import Client, SchedulerPlugin

from daskingest.pipeline.dask_settings import EXTRACT, SAVER
from daskingest.pipeline.file_run import Place
from daskingest.pipeline.run import Run
from daskingest.progress import Progress
from daskingest.recognizer import amx, kernels, lookup
from daskingest.settings import Settings

BATCH_BYTES = 128 << 10

# A saver flushes when all is counted, and workers tell that they are alive but once: what each of
# them does every so many seconds would be the more, the slower the machine is.
_LONG = 3600.0

_ACKNOWLEDGED, _RECEIVED = 120, 128  # bytes, where `struct tcp_info` of Linux has them


class Connection(NamedTuple):
    """A TCP connection of a process, by its ports, and the bytes that went over it."""

    here: int
    there: int
    sent: int
    received: int


class Process(NamedTuple):
    """What a process has done since it started."""

    connections: list[Connection]
    modules: int
    compiled: int
    collections: int
    threads: int
    read: int
    written: int


def look() -> Process:
    """At this process. To be called in any of them."""
    me = psutil.Process()
    functions = {**vars(amx), **vars(kernels), **vars(lookup)}.values()
    loops = [each.stats for each in functions if hasattr(each, "stats")]
    io = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return Process(
        [_connection(each) for each in me.net_connections("tcp") if each.raddr],
        len(sys.modules),
        sum(sum(each.cache_misses.values()) for each in loops),
        sum(each["collections"] for each in gc.get_stats()),
        me.num_threads(),
        int(io["rchar"]),
        int(io["wchar"]),
    )


def _connection(found: Any) -> Connection:
    with socket.socket(fileno=os.dup(found.fd)) as one:
        info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)

    def number(at: int) -> int:
        return int.from_bytes(info[at : at + 8], sys.byteorder)

    return Connection(found.laddr.port, found.raddr.port, number(_ACKNOWLEDGED), number(_RECEIVED))


def commits_in(log: Path) -> int:
    """How many the write-ahead log of an SQLite file has, by the format of such files."""
    data = log.read_bytes()
    page, salts = int.from_bytes(data[8:12], "big"), data[16:24]
    frames = [data[start : start + 24] for start in range(32, len(data), 24 + page)]
    return sum(each[8:16] == salts and any(each[4:8]) for each in frames)


class Transitions(SchedulerPlugin):
    """Counts what becomes of tasks."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """See `SchedulerPlugin`."""
        if str(key).startswith("extract-"):
            self.seen[start, finish] += 1


class Guarded(Run):
    """A run that keeps what it took, from where its workers are ready to where all is counted."""

    def __init__(self, file: str, store: Path) -> None:
        settings = Settings(
            store=f"sqlite:///{store}",
            workers=2,
            batch_bytes=BATCH_BYTES,
            flush_interval=_LONG,
            rejects=str(store.parent / "rejects.jsonl"),
        )
        super().__init__([file], settings, Progress())
        self._log = Path(f"{store}-wal")
        self.took: dict[str, int] = {}

    async def _count_into(self, place: Place, client: Client, model: str) -> None:
        cluster: Any = client.cluster
        workers = {each.address: each.resources for each in cluster.scheduler.workers.values()}
        tasks = Transitions()
        cluster.scheduler.add_plugin(tasks)
        before, mine = await client.run(look), look()
        await super()._count_into(place, client, model)
        after, now = await client.run(look), look()
        extract, [saver] = (
            [address for address, its in workers.items() if kind in its]
            for kind in (EXTRACT, SAVER)
        )
        self.took = {
            "batches": tasks.seen["processing", "memory"],
            "tasks": tasks.seen["released", "waiting"],
            "commits": commits_in(self._log),
            **_driver(mine, now),
            **_saver(before[saver], after[saver], [after[each] for each in extract]),
            "modules of a worker": max(
                after[each].modules - before[each].modules for each in extract
            ),
            "compiled": sum(each.compiled for each in (*after.values(), now)),
            "collections": max(
                after[each].collections - before[each].collections for each in extract
            ),
            "threads": max(each.threads for each in after.values()),
            "read by workers": sum(after[each].read - before[each].read for each in extract),
            "processes": len(psutil.Process().children(recursive=True)),
        }


def _driver(before: Process, after: Process) -> dict[str, int]:
    def total(process: Process) -> tuple[int, int]:
        mine = {each.here for each in process.connections}
        others = [each for each in process.connections if each.there not in mine]
        return sum(each.sent for each in others), sum(each.received for each in others)

    (sent_before, received_before), (sent, received) = total(before), total(after)
    return {
        "sent by the driver": sent - sent_before,
        "received by the driver": received - received_before,
        "read by the driver": after.read - before.read,
    }


def _saver(before: Process, after: Process, workers: Iterable[Process]) -> dict[str, int]:
    theirs = {each.here for worker in workers for each in worker.connections}
    from_workers = [each.received for each in after.connections if each.there in theirs]
    return {
        "received by the saver": sum(from_workers),
        "written by the saver": after.written - before.written,
        "modules of the saver": after.modules - before.modules,
    }


async def _main(file: str, store: str) -> None:
    vars(distributed.scheduler)["heartbeat_interval"] = lambda workers: _LONG
    run = Guarded(file, Path(store))
    [summary] = await run()
    counted = {"articles": summary.tally.articles, "bytes": summary.size or 0}
    print(json.dumps({**run.took, "rows": summary.written.writes, **counted}))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
