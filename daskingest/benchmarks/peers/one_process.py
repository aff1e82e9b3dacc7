"""spaCy in one process: `nlp.pipe` with `ner` alone. Its seconds are of processor time."""

from __future__ import annotations

import time

from .work import Job, Part, finish, load

_WARM_UP = 20  # articles


def main() -> None:
    job = Job.given()
    nlp, rows = load(job.model), list(job.articles())
    for _ in nlp.pipe(text for text, _ in rows[:_WARM_UP]):
        pass
    part = Part(ready=time.process_time())
    for doc, publication in nlp.pipe(rows, as_tuples=True):
        part.count(doc.text, publication, doc.ents)
    finish(job, [part], ended=time.process_time())


if __name__ == "__main__":
    main()
