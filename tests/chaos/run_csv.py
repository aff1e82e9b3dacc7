"""`run-csv` under faults: run again and again, until the file is counted."""

from __future__ import annotations

import json

from program import Program

from chaos.articles import counts_of, write_csv
from chaos.faults import Fault
from chaos.scenario import Broken, Scenario
from chaos.stores import SqliteFile
from daskingest.ledger import Begun, Counted, Done


class RunCsv(Scenario):
    """A file of the articles."""

    def start(self) -> Program:
        """See `Scenario`."""
        file = self.world.folder / "articles.csv"
        if not file.exists():
            write_csv(file, self.articles)
        self.rejects = self.world.place("rejects") / "rejects.jsonl"
        options = ["--workers", "2", "--batch-bytes", "160", "--flush-interval", "0.1"]
        options += ["--batch-timeout", "60", "--rejects", str(self.rejects), "--no-progress"]
        options += ["--store", self.world.store.url, "--staging", str(self.world.staging)]
        return self.world.start("run-csv", str(file), *options)

    def progress(self) -> float:
        """See `Scenario`. What is published later is counted first."""
        if self.schedule.store != "firestore":
            return super().progress()
        counted = SqliteFile(self.world.staging).articles() + self.world.store.articles()
        return counted / (2 * sum(bool(each.text) for each in self.articles))

    def inject(self, fault: Fault) -> None:
        """See `Scenario`. Of two programs the earlier ends, and says why."""
        if fault.kind != "second":
            super().inject(fault)
            return
        self.program = self.start()

    def check(self) -> None:
        """The counts are those of the file, its rejects are there once, and so is the ledger."""
        expected, found = counts_of(self.articles), self.world.store.counts()
        if found != expected:
            raise Broken(difference(found, expected))
        self._check_rejects()
        self._check_ledger()

    def _check_rejects(self) -> None:
        lines = self.rejects.read_bytes().splitlines(keepends=True)
        if not lines[-1].endswith(b"\n") or b"\0" in lines[-1]:
            lines.pop()  # cut off; it is removed before the next is written
        rows = [(json.loads(each)["row"], json.loads(each)["reason"]) for each in lines]
        wanted = [(each.number + 1, "no content") for each in self.articles if not each.text]
        if sorted(rows) != wanted:
            raise Broken(f"expected the rejects {wanted}, found {sorted(rows)}")

    def _check_ledger(self) -> None:
        staged = self.schedule.store == "firestore"
        counted_in = SqliteFile(self.world.staging) if staged else self.world.store
        with counted_in.opened() as store:
            [run] = store.begun()
            entries = store.ledger(run)
        done = [each for each in entries.values() if isinstance(each, Done)]
        counted = [each for each in entries.values() if isinstance(each, Counted)]
        rows = sum(each.tally.rows for each in counted)
        begun = sum(isinstance(each, Begun) for each in entries.values())
        expected = (len(self.articles), 1, 1)
        if (rows, len(done), begun) != expected or done[0].tally.rows != len(self.articles):
            raise Broken(f"expected {expected} rows, ends, beginnings in the ledger: {entries}")


def difference(found: object, expected: object) -> str:
    """What differs, in short."""
    if not isinstance(found, tuple) or not isinstance(expected, tuple):
        return f"expected {expected}, found {found}"
    (articles, words), (wanted, wanted_words) = found, expected
    more, fewer = words - wanted_words, wanted_words - words
    return (
        f"articles {articles}, expected {wanted}; {len(more)} words have too much: "
        f"{sorted(more.items())[:5]}; {len(fewer)} too little: {sorted(fewer.items())[:5]}"
    )
