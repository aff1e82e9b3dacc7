"""Count CSV files into a store: begin or go on, see it through, and check the rows at the end."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

from distributed import performance_report

from daskingest.articles import Article, Reject
from daskingest.counts import Tally
from daskingest.errors import DaskingestError, UsageError
from daskingest.models import find_model, model_identity
from daskingest.pipeline.cluster import cluster
from daskingest.pipeline.graph import Batch, Graph, Listed, Timings, open_graph
from daskingest.pipeline.rejects import RejectsFile
from daskingest.pipeline.summary import Outcome, Summary, status_text
from daskingest.progress import Progress
from daskingest.settings import Settings
from daskingest.sources.boundaries import ranges
from daskingest.sources.csvfile import CsvFile, CsvRange, open_csv
from daskingest.stores import Note, absolute_url, forecast, open_store
from daskingest.text import size_text

_TICK_SECONDS = 0.5
_FORMAT = 1  # of cuts and batch ids: changes when the same file would be cut differently

log = logging.getLogger(__name__)


class Run:
    """A run of some files with one cluster. `await run()` it once."""

    def __init__(self, files: list[str], settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._stopping = False
        self._graph: Graph | None = None
        self._current: _FileRun | None = None
        self._files = files
        self.rejects = RejectsFile(settings.rejects)

    def stop(self) -> None:
        """Finish what is in flight, and return then."""
        self._stopping = True
        if self._graph is not None:
            self._graph.stop()

    async def __call__(self) -> list[Summary]:
        """Count the files, one after the other. Raises DaskingestError."""
        settings = self._settings
        if not self._files:
            raise UsageError("no file: expected the path of a CSV file")
        model = find_model(settings.model)
        store_url = absolute_url(settings.store)
        runs = [_FileRun(path, model, settings, self.rejects) for path in self._files]
        with open_store(store_url, create=True) as store:
            for each in runs:
                each.resume(store.ledger(each.id))
        if len({each.id for each in runs}) < len(runs):
            raise UsageError("the same file is named twice (or a copy of it); name it once")
        if any(not each.finished for each in runs):
            await self._count(runs, model, store_url)
        return [each.summary for each in runs]

    async def _count(self, runs: list[_FileRun], model: str, store_url: str) -> None:
        settings = self._settings
        self._progress.say("starting the cluster")
        async with cluster(settings.scheduler, settings.workers, model) as client:
            self._progress.say(f"dashboard: {client.dashboard_link}")
            interval = settings.flush_interval
            graph_of = open_graph(client, model, store_url, interval, self._done, _Costs(self))
            async with _report_to(settings.performance_report), graph_of as graph:
                self._graph = graph
                ticker = asyncio.create_task(self._tick(graph))
                try:
                    for each in runs:
                        if not each.finished and not self._stopping:
                            self._current = each
                            await each.count(graph, self._progress)
                finally:
                    ticker.cancel()

    def _done(self, batch: Batch, note: Note, rejects: list[Reject] | None, fresh: bool) -> None:
        assert self._current is not None
        self._current.done(batch, note, rejects, fresh)

    def committed(self, writes: int) -> None:
        """The store was written to."""
        if self._current is not None:
            self._current.summary.commits += 1
            self._current.summary.writes += writes

    async def _tick(self, graph: Graph) -> None:
        """Tell how things are, also while nothing gets done."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if self._current is not None:
                self._show(self._current.summary, graph.trouble)

    def _show(self, summary: Summary, trouble: str) -> None:
        self._progress.show(
            summary.bytes_done, lambda seconds: status_text(summary, seconds), trouble
        )


def _report_to(path: str | None) -> AbstractAsyncContextManager[Any]:
    """Dask's report of what is done meanwhile, written to a file at the end."""
    if path is None:
        return nullcontext()
    try:
        Path(path).touch()
    except OSError as error:
        raise UsageError(f"cannot write the performance report {path}: {error.strerror}") from None
    report: AbstractAsyncContextManager[Any] = performance_report(filename=path)
    return report


class _Costs(Timings):
    def __init__(self, run: Run) -> None:
        self._run = run

    def commit(self, seconds: float, writes: int) -> None:
        self._run.committed(writes)


class _FileRun:
    """One file's way into the store. Its id is that of its content, wherever the file lies."""

    def __init__(self, path: str, model: str, settings: Settings, rejects: RejectsFile) -> None:
        self.name = path
        self._settings = settings
        self._rejects = rejects
        self.file: CsvFile = open_csv(path, settings.content_column, settings.publication_column)
        self.id = self.file.fingerprint()
        columns = self.file.layout.columns
        self._begin: dict[str, Any] = {
            "file": path,
            "size": self.file.size,
            "content": columns.content,
            "publication": columns.publication,
            "model": model_identity(model),
            "batch_bytes": settings.batch_bytes,
            "format": _FORMAT,
        }
        size = None if self.file.compression else self.file.size - self.file.layout.data_start
        self.summary = Summary(path, size)
        self.finished = False
        self._limited = False

    def resume(self, ledger: dict[str, Note]) -> None:
        """Take up what the ledger has of this run. Raises UsageError if it was begun otherwise."""
        begun, done = ledger.get(f"{self.id}:begin"), ledger.get(f"{self.id}:done")
        if begun:
            for key, option in _SAME.items():
                if begun[key] != self._begin[key]:
                    raise UsageError(
                        f"{self.name} was begun in this store with the {option} {begun[key]!r}; "
                        f"with {self._begin[key]!r} its articles would be counted twice: "
                        f"use the same {option}, or another --store"
                    )
            self._begin["batch_bytes"] = begun["batch_bytes"]
        if done:
            self.finished = True
            self.summary.outcome = Outcome.ALREADY
            self.summary.tally = Tally.from_note(done)
            self.summary.rows = self.summary.tally.rows
            self._find_lost_rejects(ledger)

    def _find_lost_rejects(self, ledger: dict[str, Note]) -> None:
        """Write what the file of rejects lacks, if the run that finished was killed before."""
        if not self.summary.tally.rejected:
            return
        for each in ranges(self.file, self._begin["batch_bytes"]):
            pending = [Batch(f"{self.id}:{each.start}", each)]
            while pending:
                batch = pending.pop()
                note = ledger.get(batch.id, {})
                if "split" in note:
                    pending += batch.parts(note["split"])
                else:
                    self._rejects.add(self.name, batch, Tally.from_note(note), None)

    async def count(self, graph: Graph, progress: Progress) -> None:
        """Count what the store does not have yet."""
        summary = self.summary
        await graph.enter(f"{self.id}:begin", self._begin)
        ledger = await graph.ledger(self.id)
        self.resume(ledger)
        if self.finished:
            return  # another run was faster
        if self._begin["batch_bytes"] != self._settings.batch_bytes:
            progress.say(f"going on with the batches of {self._begin['batch_bytes']:,} bytes")
        if not self.file.layout.regular:
            progress.say(
                f"{self.name} does not quote as RFC 4180 has it: its rows' ends are found by "
                "reading it in one go, which is slower than counting quotes"
            )
        if self.file.compression:
            progress.say(f"{self.name} is compressed: one process unpacks it for the workers")
        if summary.size and (expected := forecast(self._settings.store, summary.size)):
            progress.say(expected)
        log.info("counting", extra={"file": self.name, "run": self.id})
        size = f", {size_text(summary.size)}" if summary.size else ""
        progress.start(summary.size, f"counting {self.name}{size}", "waiting for counts")
        started = time.monotonic()
        done = await graph.run(Listed(self._batches()), ledger)
        summary.seconds = time.monotonic() - started
        if not done:
            return
        await asyncio.to_thread(self._reconcile)
        if await asyncio.to_thread(self.file.fingerprint) != self.id:
            raise DaskingestError(
                f"{self.name} was changed while it was read; the counts mix its old content and "
                "its new: start again with another store"
            )
        summary.outcome = Outcome.LIMITED if self._limited else Outcome.COUNTED
        if summary.outcome is Outcome.COUNTED:
            note = {**summary.tally.to_note(), "file": self.name, "at": int(time.time())}
            await graph.enter(f"{self.id}:done", note)
        log.info(
            summary.outcome.value,
            extra={
                "file": self.name,
                "articles": summary.tally.articles,
                "rejected": summary.tally.rejected.total(),
                "seconds": round(summary.seconds, 3),
            },
        )

    def done(self, batch: Batch, note: Note, rejects: list[Reject] | None, fresh: bool) -> None:
        """The store has a batch, from this run (`fresh`) or an earlier one."""
        tally, summary = Tally.from_note(note), self.summary
        size = batch.source.size >> batch.id.count(".")  # a part's is not known better
        summary.tally.merge(tally)
        summary.bytes_done += size
        if fresh:
            summary.fresh.merge(tally)
            summary.fresh_bytes += size
        self._rejects.add(self.name, batch, tally, rejects)

    def _batches(self) -> Iterator[Batch]:
        left = self._settings.limit
        for each in ranges(self.file, self._begin["batch_bytes"]):
            batch, rows = Batch(f"{self.id}:{each.start}", each), each.row_count
            if left is not None:
                if left <= 0:
                    self._limited = True
                    return
                rows, articles, whole = _count_rows(each, left)
                left -= articles
                if not whole:
                    self._limited = True
                    batch = dataclasses.replace(batch, only=rows)
            self.summary.rows += rows
            yield batch

    def _reconcile(self) -> None:
        """See that the rows taken and rejected are all the rows there are."""
        summary = self.summary
        if self._settings.limit is not None and summary.tally.rows >= summary.rows:
            summary.rows = summary.tally.rows  # an earlier run has counted more already
        elif summary.rows != summary.tally.rows:
            # Stray quotes between two cuts make the quick count of the rows wrong: read them.
            summary.rows = self.file.count_rows()
        if summary.rows != summary.tally.rows:
            raise DaskingestError(
                f"{self.name} has {summary.rows:,} rows, but {summary.tally.rows:,} were taken or "
                "rejected; was it changed while it was read?"
            )


_SAME = {
    "content": "--content-column",
    "publication": "--publication-column",
    "model": "--model",
    "format": "version of daskingest",
}


def _count_rows(source: CsvRange, articles: int) -> tuple[int, int, bool]:
    """How many rows to count for so many articles, the articles in them, whether they are all."""
    taken = count = 0
    rows = source.rows()
    for count, row in enumerate(rows, 1):
        taken += isinstance(row, Article)
        if taken == articles:
            return count, taken, next(rows, None) is None
    return count, taken, True
