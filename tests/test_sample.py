"""`sample`: made-up articles, deterministic, marked, in the right layout."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

from program import run

from daskingest.notebook import read_csv


def test_articles(tmp_path: Path, sample: Path) -> None:
    code, output = run(tmp_path, "sample", "a.csv", "--articles", "2000")
    assert code == 0, output
    assert "2,000 articles" in output
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with sample.open(newline="", encoding="utf-8") as file:
        real = list(csv.DictReader(file))
    assert list(rows[0]) == list(real[0])
    assert len(rows) == 2000 == len(read_csv(str(tmp_path / "a.csv")).compute(scheduler="sync"))
    lengths = [len(row["article"].split()) for row in rows]
    assert 350 < statistics.median(lengths) < 450
    assert max(lengths) > 2000
    assert sum("\n" in row["article"] for row in rows) > 1500
    assert {row["publication"] for row in rows} == {row["publication"] for row in real}
    assert all(row["title"].startswith("[made up]") for row in rows)
    assert len({row["article"] for row in rows}) == 2000
    first = (tmp_path / "a.csv").read_bytes()
    for options in (["--articles", "300"], ["--bytes", "500000"]):
        assert run(tmp_path, "sample", "b.csv", *options)[0] == 0
        again = (tmp_path / "b.csv").read_bytes()
        assert first.startswith(again)  # the same seed, the same articles
        (tmp_path / "b.csv").unlink()
    assert 500_000 <= len(again) < 700_000
    assert run(tmp_path, "sample", "c.csv", "--articles", "300", "--seed", "1")[0] == 0
    assert not first.startswith((tmp_path / "c.csv").read_bytes())


def test_what_can_t_be_written(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    for arguments, said in (
        (["new.csv"], "expected --articles or --bytes"),
        (["new.csv", "--articles", "1", "--bytes", "1"], "expected --articles or --bytes"),
        (["there.csv", "--articles", "1"], "there is a file there.csv already"),
        (["no/new.csv", "--articles", "1"], "cannot write no/new.csv: No such file"),
        (["new.csv", "--bytes", str(10**18)], "no room for"),
    ):
        code, output = run(tmp_path, "sample", *arguments)
        assert (code, said in output, "Traceback" in output) == (2, True, False), output
    assert {each.name for each in tmp_path.iterdir()} == {"there.csv", "out.txt"}
    assert (tmp_path / "there.csv").read_text() == "mine"
