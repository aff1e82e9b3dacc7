"""`publish` under faults: repeated while there is more to publish, and until all is."""

from __future__ import annotations

from program import Program

from chaos.articles import counts_of
from chaos.run_csv import difference
from chaos.scenario import Broken, Scenario
from chaos.stores import SqliteFile
from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.months import month_of
from daskingest.stores import open_store

ROUNDS = 3


class SmallCommits(Program):
    """Publishes a few words at a time."""

    START = (
        "-c",
        "from daskingest.__main__ import main\n"
        "from daskingest.publishing import sending\n"
        "sending.MOST = 20\n"
        "if __name__ == '__main__': main()",
    )


class Publish(Scenario):
    """A store that gets more articles each time that it is published."""

    _rounds = 0

    def start(self) -> Program:
        """See `Scenario`."""
        if not self._rounds:
            self._count_more()
        options = ["--from", self._source.url, "--to", self.world.store.url]
        return self.world.start("publish", *options, kind=SmallCommits)

    @property
    def _source(self) -> SqliteFile:
        return SqliteFile(self.world.place("data") / "source.db")

    def _count_more(self) -> None:
        """There are more articles to publish."""
        counts = Counts()
        for each in self.articles[self._rounds :: ROUNDS]:
            if each.text:
                words = [word for word, count in each.words.items() for _ in range(count)]
                counts.add_article(each.publication, words, month_of(each.date))
        with open_store(
            SqliteFile(self.world.place("data") / "source.db").url, create=True
        ) as store:
            store.commit(counts.packed(), {BatchId("made", str(self._rounds)): Counted()})
        self.world.settle()
        self._rounds += 1

    def is_over(self) -> bool:
        """See `Scenario`."""
        if self.program.process.poll() == 0 and self._rounds < ROUNDS:
            self._count_more()
            self.program = self.start()
        return super().is_over()

    def finish(self) -> None:
        """See `Scenario`."""
        while True:
            super().finish()
            if self.is_over():
                return

    def check(self) -> None:
        """See `Scenario`: both stores have the counts of all articles."""
        for store in (self.world.store, self._source):
            if (found := store.counts()) != (expected := counts_of(self.articles)):
                raise Broken(f"{store.url}: {difference(found, expected)}")
