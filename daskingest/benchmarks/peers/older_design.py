"""The design before daskingest: a queue, processes that keep their counts, one write an entity.

Each worker runs the whole pipeline, one text at a time, and hands its counts over when it has seen
25,000 articles, or at the end. A saver writes each counter by itself. The store was Firestore, to
which each of these writes went over the network; here it is an SQLite file on the same disk, whose
commits wait for no disk either. (It also dropped all but the 2,000 most frequent entities of a
worker. This one keeps them all, so that the counts can be compared.)
"""

from __future__ import annotations

import multiprocessing
import sqlite3
import tempfile
from multiprocessing import Queue
from typing import Any

from .work import Job, Part, finish, load

_CACHED = 25_000  # articles
_UPSERT = """INSERT INTO entities VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET count = count + excluded.count"""


def work(model: str, articles: Queue[Any], counted: Queue[Any]) -> None:
    """A worker: articles until there is None."""
    nlp = load(model, entities_only=False)
    part, seen = Part(), 0
    ready = part.ready
    while (article := articles.get()) is not None:
        text, publication = article
        part.count(text, publication, nlp(text).ents)
        seen += 1
        if seen % _CACHED == 0:
            counted.put(part)
            part = Part(ready)
    counted.put(part)
    counted.put(None)


def save(path: str, part: Part) -> None:
    """One write an entity."""
    db = sqlite3.connect(path, isolation_level=None)
    for (publication, word, label), number in part.counts.items():
        db.execute(_UPSERT, (publication, word, label, number))
    db.close()


def main() -> None:
    job = Job.given()
    processes = multiprocessing.get_context("spawn")
    articles, counted, parts = processes.Queue(64), processes.Queue(), []
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/entities.db"
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(
                "CREATE TABLE entities (publication, word, label, count, "
                "PRIMARY KEY (publication, word, label))"
            )
        arguments = (job.model, articles, counted)
        workers = [processes.Process(target=work, args=arguments) for _ in range(job.workers)]
        for each in workers:
            each.start()
        for article in [*job.articles(), *[None] * job.workers]:
            articles.put(article)
        running = len(workers)
        while running:
            part = counted.get()
            running -= part is None
            if part is not None:
                save(path, part)
                parts.append(part)
        finish(job, parts)


if __name__ == "__main__":
    main()
