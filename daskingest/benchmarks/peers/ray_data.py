"""Ray Data: the file read and cut into blocks, and `nlp.pipe` with `ner` alone in actors."""

from __future__ import annotations

from typing import Any

import ray
from pyarrow.csv import ParseOptions

from .work import Job, Part, finish, load

_BATCH = 64


class Entities:
    """The actor."""

    def __init__(self, model: str) -> None:
        self._nlp = load(model)
        self._ready = Part().ready

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Count a batch of articles."""
        part = Part(self._ready)
        rows = zip(batch["article"], batch["publication"], strict=True)
        for doc, publication in self._nlp.pipe(rows, as_tuples=True):
            part.count(doc.text, publication, doc.ents)
        return {"part": [part.dumped()]}


def main() -> None:
    job = Job.given()
    ray.init(num_cpus=job.workers + 1, include_dashboard=False, log_to_driver=False)
    articles = ray.data.read_csv(job.file, parse_options=ParseOptions(newlines_in_values=True))
    parts = articles.repartition(8 * job.workers).map_batches(
        Entities,
        fn_constructor_args=(job.model,),
        batch_size=_BATCH,
        compute=ray.data.ActorPoolStrategy(size=job.workers),
    )
    finish(job, [Part.loaded(row["part"]) for row in parts.take_all()], "ray")


if __name__ == "__main__":
    main()
