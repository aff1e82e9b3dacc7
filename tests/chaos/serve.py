"""`serve` under faults: what it acknowledged is counted once, and what it refused is not."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from contextlib import closing

import httpx
from program import HTTP, Program, free_port

from chaos.articles import counts_of
from chaos.client import Client, Promise
from chaos.faults import Fault, Impossible, Schedule
from chaos.run_csv import difference
from chaos.scenario import Broken, Scenario
from chaos.world import World

_AHEAD = 0.15  # of all articles


class Serve(Scenario):
    """A service that a client sends the articles to."""

    def __init__(self, world: World, schedule: Schedule) -> None:
        self._port = free_port()
        super().__init__(world, schedule)
        chance = random.Random(schedule.seed)
        self._client = Client(self.articles, chance, lambda: f"http://127.0.0.1:{self._port}")
        self._client.limit = _AHEAD
        self._client.start()

    def close(self) -> None:
        """See `Scenario`."""
        super().close()
        self._client.stop()

    def start(self) -> Program:
        """See `Scenario`."""
        return self._start(self._port)

    def _start(self, port: int) -> Program:
        options = ["--port", str(port), "--data-dir", str(self.world.place("data"))]
        options += ["--workers", "2", "--batch-articles", "3", "--batch-seconds", "0.02"]
        # On a busy machine the workers, which are nice, take seconds for what takes milliseconds.
        options += ["--flush-interval", "0.1", "--batch-timeout", "200", "--no-trials"]
        return self.world.start("serve", "--store", self.world.store.url, *options)

    def is_over(self) -> bool:
        """See `Scenario`. It serves until it is told to end."""
        acknowledged = list(self._client.promises.values()).count(Promise.COUNTED)
        return self._client.done and self.world.store.articles() >= acknowledged

    def keep_running(self) -> None:
        """See `Scenario`."""
        if self.program.process.poll() == 0:
            raise Broken(f"it ended by itself: {self.last_words()}")
        super().keep_running()

    def expect(self, fault: Fault) -> None:
        """See `Scenario`. There is to be something left to do when a fault comes."""
        self._client.limit = min(1.0, fault.at + _AHEAD)

    def finish(self) -> None:
        """Wait until everything is sent and counted; then the service ends when it is told to."""
        self.wait(lambda: self._client.done, "all requests to be answered")
        self.wait(lambda: self._spooled() == 0, "the spool to be empty")
        self.program.process.terminate()
        if (code := self.end_of(self.program)) != 0:
            raise Broken(f"told to end, it ended with {code}: {self.last_words()}")

    def _spooled(self) -> int | None:
        try:
            status = HTTP.get(f"http://127.0.0.1:{self._port}/status", timeout=10).json()
        except httpx.HTTPError:
            return None
        return int(status["spool"]["articles"])

    def inject(self, fault: Fault) -> None:
        """See `Scenario`."""
        match fault.kind:
            case "second":
                self._start_second()
            case "restored":
                self._restore()
            case _:
                super().inject(fault)

    def _start_second(self) -> None:
        """It is refused, for as long as the first one is there."""
        port = free_port()
        second = self._start(port)
        while second.process.poll() is None:
            if self.program.process.poll() is not None:  # it has died of something
                self.program, self._port = second, port
                return
            time.sleep(0.05)
        self._require_refusal(second, "another daskingest service uses")

    def _restore(self) -> None:
        """Use an older copy of the data directory: that is noticed, and the right one goes on."""
        world, data = self.world, self.world.place("data")
        backup, right = world.folder / "backup", world.folder / "right"
        world.lift()
        world.kill_all()
        if not (data / "spool.db").exists():
            raise Impossible("there is no spool yet")
        shutil.copytree(data, backup)
        before, self.program = world.store.articles(), self.start()
        deadline = time.monotonic() + 20
        while world.store.articles() == before and time.monotonic() < deadline:
            time.sleep(0.05)
        used = world.store.articles() > before
        world.kill_all()
        data.rename(right)
        backup.rename(data)
        world.settle()
        if used:
            refused = self.start()
            self.end_of(refused)
            self._require_refusal(refused, "was restored from a backup, or is a copy")
        shutil.rmtree(data)
        right.rename(data)
        world.settle()
        self.program = self.start()
        if not used:
            raise Impossible("nothing was counted before it was restored")

    def _require_refusal(self, program: Program, line: str) -> None:
        code = program.process.returncode
        if code != 2 or line not in program.output or "Traceback" in program.output:
            raise Broken(f"expected code 2 and {line!r}, found {code}: {program.output[-1500:]}")

    def check(self) -> None:
        """What was promised is in the store; the spool is empty, and the ledger forgotten."""
        if self._client.problems:
            raise Broken(f"answers that were not expected: {self._client.problems[:5]}")
        articles, words = self.world.store.counts()
        counted = []
        for each in self.articles:
            times = words[each.publication.lower(), each.mark, "PRODUCT"]
            promise = self._client.promises[each.number]
            most = int(promise is not Promise.REFUSED)
            if not int(promise is Promise.COUNTED) <= times <= most:
                raise Broken(
                    f"{promise}, but it was counted {times} times: {each}; of {len(self.articles)} "
                    f"articles {sum(articles.values())} are counted; rejects: {self._rejects()}"
                )
            counted += [each] * times
        expected = counts_of(counted)
        if (articles, words) != expected:
            raise Broken(difference((articles, words), expected))
        self._check_ledger()

    def _rejects(self) -> str:
        path = self.world.place("data") / "rejects.jsonl"
        return path.read_text()[-1500:] if path.exists() else "none"

    def _check_ledger(self) -> None:
        """All batches up to the watermark are counted, and any after it have an entry."""
        path = self.world.place("data") / "spool.db"
        with closing(sqlite3.connect(path)) as spool:
            [(run,)] = spool.execute("SELECT id FROM spool").fetchall()
            [(last,)] = spool.execute("SELECT max(seq) FROM sqlite_sequence").fetchall()
        with self.world.store.opened() as store:
            hold, entries = store.hold(run), store.ledger(run)
        if hold is None:
            raise Broken(f"nobody holds the spool's run {run}")
        numbers = {int(each.entry) for each in entries}
        if numbers != set(range(hold.watermark + 1, last + 1)):
            raise Broken(f"the watermark is {hold.watermark}, the last batch {last}: {entries}")
