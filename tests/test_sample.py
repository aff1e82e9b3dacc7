"""`sample`: made-up articles, deterministic, marked, in the right layout."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from program import run

from daskingest.notebook import read_csv
from daskingest.sample.learned import Learned, learn
from daskingest.sample.maker import MARK_END, MARKS, Maker
from daskingest.sample.write import blocks
from daskingest.text import word_of


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def learned() -> Learned:
    return learn()


def test_names_keep_coming(learned: Learned) -> None:
    """As in real news: four times the text has some three times the different names."""
    maker = Maker(learned, 1)
    keys = [maker.block(i).keys for i in range(16)]
    several, many = (len(np.unique(np.concatenate(keys[:number]))) for number in (4, 16))
    assert 0.7 < math.log(many / several) / math.log(4) < 0.9


def test_it_is_known_what_counts(learned: Learned) -> None:
    """What stands between marks, publication by publication, is what a block says."""
    maker = Maker(learned, 2, publications=27, marked=True)
    block, labels = maker.block(5), {mark: label for label, mark in MARKS.items()}
    rows = list(csv.reader(io.StringIO(block.text.decode(), newline="")))
    found = Counter(
        (row[11], word_of(text), labels[mark])
        for row in rows
        for mark, text in re.findall(f"([{''.join(labels)}])([^{MARK_END}]*){MARK_END}", row[8])
    )
    assert found == dict(zip(maker.planted(block.keys), block.counts.tolist(), strict=True))
    names = [maker.publications[each] for each in block.publications.tolist()]
    assert [row[11] for row in rows] == names
    assert len(set(names)) == 27
    often = Counter(names)
    assert often[maker.publications[0]] > 3 * often[maker.publications[4]]
    plain = Maker(learned, 2, publications=27).block(5).text.decode()
    marks = dict.fromkeys(map(ord, (*MARKS.values(), MARK_END)))
    assert plain == plain.translate(marks) == block.text.decode().translate(marks)


def test_processes_make_the_same(learned: Learned) -> None:
    maker = Maker(learned, 3)
    here, there = (list(itertools.islice(blocks(maker, number), 3)) for number in (0, 1))
    assert [each.text for each in here] == [each.text for each in there]


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
