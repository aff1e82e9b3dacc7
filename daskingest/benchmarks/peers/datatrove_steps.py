"""datatrove: a pipeline of a reader and a step that runs `nlp.pipe` with `ner` alone.

It spreads files, not rows, so the articles are put into a file for each task before it starts.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.readers import CSVReader

from .work import Job, Part, finish, load


class Entities(PipelineStep):  # type: ignore[misc]
    """Counts a task's articles, and leaves a file with the counts."""

    def __init__(self, model: str, folder: str) -> None:
        super().__init__()
        self._model, self._folder = model, folder

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        """See PipelineStep."""
        nlp = load(self._model)
        part = Part()
        rows = ((each.text, each.metadata["publication"]) for each in data)
        for doc, publication in nlp.pipe(rows, as_tuples=True):
            part.count(doc.text, publication, doc.ents)
        Path(self._folder, f"{rank}.json").write_text(part.dumped())
        yield from ()


def main() -> None:
    job = Job.given()
    rows = list(job.articles())
    with tempfile.TemporaryDirectory() as folder:
        for place in ("in", "out", "logs"):
            Path(folder, place).mkdir()
        for task in range(job.workers):
            with Path(folder, "in", f"{task}.csv").open("w", newline="", encoding="utf-8") as out:
                csv.writer(out).writerows([("text", "publication"), *rows[task :: job.workers]])
        steps = [CSVReader(f"{folder}/in"), Entities(job.model, f"{folder}/out")]
        LocalPipelineExecutor(steps, tasks=job.workers, logging_dir=f"{folder}/logs").run()
        parts = [Part.loaded(each.read_text()) for each in Path(folder, "out").iterdir()]
    finish(job, parts, "datatrove")


if __name__ == "__main__":
    main()
