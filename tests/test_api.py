from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import daskingest
from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.stores import open_store


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/a.db"
    counts = Counts()
    counts.add_article("The Post", [("paris", "GPE"), ("paris", "GPE"), ("who", "ORG")])
    counts.add_article("Times", [("paris", "PERSON")])
    with open_store(url, create=True) as opened:
        opened.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    return url


def test_importing_is_light() -> None:
    code = "import daskingest, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "pandas", "dask", "distributed", "spacy"} & set(loaded)
    assert set(daskingest.__all__) <= {*dir(daskingest)}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        daskingest.nothing  # noqa: B018


def test_counts_as_frames(store: str) -> None:
    publications = daskingest.publications(store)
    assert publications.to_dict("list") == {
        "name": ["The Post", "Times"],
        "key": ["the post", "times"],
        "count": [1, 1],
    }
    words = daskingest.words(store)
    assert list(words.columns) == ["publication", "word", "label", "count", "name"]
    assert words.iloc[0].tolist() == ["The Post", "paris", "GPE", 2, "paris"]
    assert len(words) == 3
    assert daskingest.words(store, "THE  post", "ORG")["word"].tolist() == ["who"]
    with pytest.raises(daskingest.UsageError, match=r"did you mean .*'Times'"):
        daskingest.words(store, "the time")


def test_a_csv_as_a_dask_frame(write_csv: Callable[..., str]) -> None:
    texts = [f'line one\n"line", {i}' for i in range(300)]
    path = write_csv([("P", text) for text in texts])
    frame = daskingest.read_csv(path, batch_bytes=2000)
    assert frame.npartitions > 3
    whole = frame.compute(scheduler="synchronous")
    assert whole["article"].tolist() == texts
    assert list(whole.columns)[:2] == ["Unnamed: 0", "date"]
    assert (whole.dtypes == frame._meta.dtypes).all()


def test_entities_of_a_dask_column(write_csv: Callable[..., str]) -> None:
    texts = ["Angela Merkel lives in Berlin.", "", "Barack Obama left Paris."]
    frame = daskingest.read_csv(write_csv([("P", text) for text in texts]))
    found = daskingest.extract_entities(frame["article"]).compute(scheduler="synchronous")
    assert found["word"].tolist() == ["angela merkel", "berlin", "barack obama", "paris"]
    assert found.index.tolist() == [0, 0, 2, 2]
    for at, row in found.iterrows():
        assert texts[int(str(at))][row["start"] : row["end"]] == row["text"]


@pytest.mark.parametrize("inside_a_loop", [False, True])
def test_a_run_from_a_script(sample: Path, tmp_path: Path, inside_a_loop: bool) -> None:
    script = tmp_path / "script.py"
    call = f'daskingest.run_csv({str(sample)!r}, store="sqlite:///s.db", workers=1, limit=3)'
    body = f"print({call}[0].tally.articles)"
    if inside_a_loop:
        body = f"async def main():\n        {body}\n    asyncio.run(main())"
    script.write_text(
        f'import asyncio\nimport daskingest\nif __name__ == "__main__":\n    {body}\n'
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "3\n", done.stderr
