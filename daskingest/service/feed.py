"""The spool's batches as a source for the driver, and what becomes of each of them.

A batch leaves the spool when the store has it, and then the store's ledger forgets it too. If
anything dies in between, a restart submits the same batches again, under the same ids.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from daskingest.articles import Article
from daskingest.ledger import BatchId
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.driver import Observer
from daskingest.pipeline.events import Finished
from daskingest.pipeline.pending import Commit
from daskingest.service.group_commit import SpoolError
from daskingest.service.metrics import Metrics
from daskingest.service.micro_batches import Limits
from daskingest.service.rejects import RejectsError, SpoolRejects
from daskingest.service.spool import Spool, SpooledBatch
from daskingest.tally import Tally

_RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Released:
    """A batch in flight since a time of the loop's clock, and what has become of it so far.

    `rejects` are the articles on which the model failed: place, article and reason.
    """

    batch: SpooledBatch
    since: float
    tally: Tally = field(default_factory=Tally)
    rejects: list[tuple[str, Article, str]] = field(default_factory=list)


class InFlight(dict[BatchId, Released]):
    """The batches that were released and that the spool still has."""

    @property
    def articles(self) -> int:
        """How many articles they have."""
        return sum(len(each.batch.articles) for each in self.values())


def batch_id(spool_id: str, number: int) -> BatchId:
    """The ledger's id of a spool's batch."""
    return BatchId(spool_id, str(number))


class Feed:
    """A BatchSource: first the batches that an earlier process left, then new ones.

    They are in so many `shards`. `wake` is called when there may be a batch although no new article
    has arrived. Once `draining` is set there will be no more articles; whoever sets it must wake
    the driver.
    """

    def __init__(
        self,
        spool: Spool,
        limits: Limits,
        metrics: Metrics,
        in_flight: InFlight,
        wake: Callable[[], None],
    ) -> None:
        self.draining = False
        self.shards = 1
        self._spool = spool
        self._limits = limits
        self._metrics = metrics
        self._in_flight = in_flight
        self._wake = wake
        self._left = spool.unfinished()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, most: int, idle: int) -> list[Batch] | None:
        """See `BatchSource.take`."""
        try:
            if self._left:
                return await self._take_up(most)
            batches = await self._spool.release(most, idle, self._limits, self.draining)
        except SpoolError as error:
            log.warning("%s; trying again", error)
            self._wake_after(_RETRY_SECONDS)
            return []
        if not batches:
            if self.draining:
                return None
            if self._spool.waiting:
                self._wake_after(self._limits.seconds)
        for each in batches:
            self._metrics.released(len(each.articles), each.size, each.reason, each.waited)
        return [self._release(each) for each in batches]

    def close(self) -> None:
        """Cancel the timer: `wake` is not called any more."""
        if self._timer is not None:
            self._timer.cancel()

    async def _take_up(self, most: int) -> list[Batch]:
        batches = [await self._spool.load(number) for number in self._left[:most]]
        self._left = self._left[most:]
        return [self._release(each) for each in batches]

    def _release(self, batch: SpooledBatch) -> Batch:
        its_id = batch_id(self._spool.id, batch.number)
        self._in_flight[its_id] = Released(batch, asyncio.get_running_loop().time())
        return Batch(its_id, batch).in_shards(self.shards)

    def _wake_after(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._wake()


class Forgetter(Observer):
    """Observes which batches the store has, writes their rejects, and has the spool forget them.

    `run` does that until `end`. If the disk cannot be written, it tries again until it can be.
    """

    def __init__(
        self, spool: Spool, rejects: SpoolRejects, metrics: Metrics, in_flight: InFlight
    ) -> None:
        self._spool = spool
        self._rejects = rejects
        self._metrics = metrics
        self.in_flight = in_flight
        self._whole: asyncio.Queue[BatchId | None] = asyncio.Queue()

    async def finished(self, batch: Finished) -> None:
        """See `Observer.finished`."""
        whole, tally = batch.batch.id.given, batch.tally
        released = self.in_flight[whole]
        released.tally.merge(tally)
        for row, reason in sorted(tally.failed.items()):
            place = batch.batch.first + row
            article = released.batch.articles[place]
            if isinstance(article, Article):
                released.rejects.append((f"{whole}#{place}", article, reason))
        if batch.last:
            self._measure(released.tally)
            self._whole.put_nowait(whole)

    def _measure(self, whole: Tally) -> None:
        """Of a whole batch: its parts are told again where the scheduler is lost before."""
        for reason, number in whole.rejected.items():
            self._metrics.rejected(reason, number)
        self._metrics.saved(whole.articles, whole.text_words, whole.entities)

    def extracted(self, seconds: float) -> None:
        """See `Observer.extracted`."""
        self._metrics.extracted(seconds)

    def committed(self, commit: Commit) -> None:
        """See `Observer.committed`."""
        self._metrics.committed(commit.seconds, commit.writes)

    def end(self) -> None:
        """Let `run` return once it has handled what is left: there will be no more batches."""
        self._whole.put_nowait(None)

    async def run(self, forget: Callable[[], Awaitable[None]]) -> None:
        """Let the spool forget what the store has, and then `forget`, which is the ledger's."""
        ended = False
        while not ended:
            found = [await self._whole.get()]
            while not self._whole.empty():
                found.append(self._whole.get_nowait())
            ended = None in found
            if finished := [each for each in found if each is not None]:
                await self._forget_in_spool(finished)
                for each in finished:
                    _log(each, self.in_flight.pop(each))
                await forget()

    async def _forget_in_spool(self, finished: Sequence[BatchId]) -> None:
        rejects = [reject for each in finished for reject in self.in_flight[each].rejects]
        while True:
            try:
                if rejects:
                    await asyncio.to_thread(self._write, rejects)
                await self._spool.forget([int(each.entry) for each in finished])
                return
            except (RejectsError, SpoolError) as error:
                log.warning("%s; trying again", error)
                await asyncio.sleep(_RETRY_SECONDS)

    def _write(self, rejects: Sequence[tuple[str, Article, str]]) -> None:
        for place, article, reason in rejects:
            self._rejects.add(place, article, reason)


def _log(its_id: BatchId, released: Released) -> None:
    batch, tally = released.batch, released.tally
    log.info(
        "batch saved",
        extra={
            "batch": str(its_id),
            "articles": tally.articles,
            "rejected": tally.rejected.total(),
            "entities": tally.entities,
            "bytes": batch.size,
            "reason": batch.reason,
            "waited_seconds": round(batch.waited, 3),
            "saved_after_seconds": round(asyncio.get_running_loop().time() - released.since, 3),
        },
    )
