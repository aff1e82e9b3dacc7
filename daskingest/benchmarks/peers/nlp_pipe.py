"""spaCy's own way to use several processes: `nlp.pipe(n_process=…)`, with `ner` alone."""

from __future__ import annotations

import time
from itertools import islice

from .work import Job, Part, finish, load

_BATCH = 64  # at most


def main() -> None:
    job = Job.given()
    nlp, rows = load(job.model), list(job.articles())
    size = min(_BATCH, max(1, len(rows) // (4 * job.workers)))
    docs = nlp.pipe(rows, as_tuples=True, n_process=job.workers, batch_size=size)
    first, rest = Part(), Part()
    for part, several in (first, islice(docs, size * job.workers)), (rest, docs):
        part.ready = time.time()  # the processes are there when the first batch of each is
        for doc, publication in several:
            part.count(doc.text, publication, doc.ents)
    ended, first.words, first.ready = time.time(), 0, 0.0
    finish(job, [first, rest], ended=ended)


if __name__ == "__main__":
    main()
