"""spaCy's command line: `spacy apply` to JSON Lines, and the counts of the file that it leaves.

The model is saved with its `ner` alone, since the command cannot leave parts out. What it takes for
the first article alone is its start-up.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .work import Job, Part, finish, load


def main() -> None:
    job = Job.given()
    nlp, rows = load(job.model), list(job.articles())
    with tempfile.TemporaryDirectory() as folder:
        nlp.to_disk(f"{folder}/model")

        def apply(rows: Sequence[tuple[str, str]]) -> Part:
            from spacy.tokens import DocBin

            part = Part()
            lines = [json.dumps({"text": text}) for text, _ in rows]
            Path(folder, "texts.jsonl").write_text("\n".join(lines), encoding="utf-8")
            command = [sys.executable, "-m", "spacy", "apply", f"{folder}/model"]
            command += [f"{folder}/texts.jsonl", f"{folder}/docs.spacy", "--force"]
            command += ["--batch-size", "64", "--n-process", str(job.workers)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            docs = DocBin().from_disk(f"{folder}/docs.spacy").get_docs(nlp.vocab)
            for doc, (_, publication) in zip(docs, rows, strict=True):
                part.count(doc.text, publication, doc.ents)
            return part

        started = time.time()
        apply(rows[:1])
        start_up = time.time() - started
        part = apply(rows)
    finish(job, [part], ended=time.time() - start_up)


if __name__ == "__main__":
    main()
