"""The ledger's ids and entries: both come back from text as they were, earlier versions' too."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.ledger import (
    BatchId,
    Begun,
    Counted,
    Done,
    Entry,
    LedgerError,
    Split,
    Staged,
    entry_from_json,
    entry_to_json,
    read_ledger,
)
from daskingest.tally import Tally

number = st.integers(0, 2**63)
texts = st.text(max_size=20)
ids = st.builds(
    BatchId,
    run=st.text(st.characters(exclude_characters=":"), max_size=20),
    entry=st.text(st.characters(exclude_characters="."), max_size=20),
    parts=st.lists(st.integers(0, 1), max_size=5).map(tuple),
)
tallies = st.builds(
    Tally,
    rows=number,
    articles=number,
    text_words=number,
    entities=number,
    dropped=number,
    rejected=st.dictionaries(texts, st.integers(1)).map(Counter),
    failed=st.dictionaries(number, texts.filter(bool)),
)
begun = st.builds(
    Begun,
    file=texts,
    size=number,
    content=texts,
    publication=texts,
    model=texts,
    batch_bytes=number,
    format=number,
)
done = st.builds(
    Done, tally=tallies, file=texts, at=st.floats(allow_nan=False, allow_infinity=False)
)
RUN = "0123456789abcdef"


@given(ids)
def test_an_id_comes_back(batch_id: BatchId) -> None:
    assert BatchId.parse(str(batch_id)) == batch_id


def test_ids_read_as_earlier_versions_wrote_them() -> None:
    assert BatchId.parse(f"{RUN}:1024.0.1") == BatchId(RUN, "1024", (0, 1))
    assert BatchId.parse("spool-1f:7") == BatchId("spool-1f", "7")
    assert str(BatchId.begin(RUN)) == f"{RUN}:begin"
    assert str(BatchId.done(RUN)) == f"{RUN}:done"


def test_a_part_knows_its_batch() -> None:
    batch = BatchId(RUN, "10")
    part = batch.part(1).part(0)
    assert str(part) == f"{RUN}:10.1.0"
    assert part.whole == batch.whole == batch
    assert part.is_batch
    assert batch.is_batch
    assert not BatchId.begin(RUN).is_batch
    assert not BatchId.staged(RUN).is_batch
    assert not BatchId.done(RUN).is_batch


@given(st.one_of(st.builds(Counted, tallies), st.builds(Split, number)))
def test_a_batch_s_entry_comes_back(entry: Entry) -> None:
    assert entry_from_json(BatchId(RUN, "1"), entry_to_json(entry)) == entry


@given(begun, st.builds(Staged, texts, texts, texts), done)
def test_a_run_s_entries_come_back(begin: Begun, staged: Staged, end: Done) -> None:
    assert entry_from_json(BatchId.staged(RUN), entry_to_json(staged)) == staged
    assert entry_from_json(BatchId.begin(RUN), entry_to_json(begin)) == begin
    assert entry_from_json(BatchId.done(RUN), entry_to_json(end)) == end


BEGIN: dict[str, object] = {
    "file": "é.csv",
    "size": 12_345,
    "content": "article",
    "publication": "publication",
    "model": "m 3.7",
    "batch_bytes": 4_000_000,
    "format": 1,
}
TALLY: dict[str, object] = {"rows": 3, "articles": 2, "rejected": {"no content": 1}}
BEFORE: list[tuple[str, dict[str, object], Entry]] = [
    ("1", {}, Counted()),
    ("1", TALLY, Counted(Tally(3, 2, rejected=Counter({"no content": 1})))),
    (
        "1.0",
        {"rows": 2, "rejected": {"killed its worker": 1}, "failed": {"1": "killed its worker"}},
        Counted(
            Tally(2, rejected=Counter({"killed its worker": 1}), failed={1: "killed its worker"})
        ),
    ),
    ("1", {"split": 4}, Split(4)),
    ("begin", BEGIN, Begun("é.csv", 12_345, "article", "publication", "m 3.7", 4_000_000, 1)),
    ("done", {"rows": 3, "articles": 3}, Done(Tally(3, 3))),
    ("done", {"rows": 3, "articles": 3, "file": "f", "at": 9}, Done(Tally(3, 3), "f", 9)),
]


@pytest.mark.parametrize(("entry", "value", "expected"), BEFORE)
def test_entries_read_as_earlier_versions_wrote_them(
    entry: str, value: dict[str, object], expected: Entry
) -> None:
    text = json.dumps(value)
    batch_id = BatchId.parse(f"{RUN}:{entry}")
    assert read_ledger({f"{RUN}:{entry}": text}) == {batch_id: expected}
    assert json.loads(entry_to_json(expected)) == value | (
        {"file": "", "at": 0.0} | value if entry == "done" else {}
    )


DIGEST: dict[str, object] = {"checksum": "0f" * 16}
SINCE: list[tuple[str, dict[str, object], Entry]] = [
    ("1", TALLY | DIGEST, Counted(Tally(3, 2, rejected=Counter({"no content": 1})), "0f" * 16)),
    ("1", {"split": 4} | DIGEST, Split(4, "0f" * 16)),
    (
        "begin",
        BEGIN | {"head": "ab", "sample": "cd", "start": 20, "end": 12_345},
        Begun(
            "é.csv", 12_345, "article", "publication", "m 3.7", 4_000_000, 1, "ab", "cd", 20, 12_345
        ),
    ),
    (
        "done",
        {"rows": 3, "file": "f", "at": 9, "end": 77} | DIGEST,
        Done(Tally(3), "f", 9, "0f" * 16, 77),
    ),
]


@pytest.mark.parametrize(("entry", "value", "expected"), SINCE)
def test_checksums_come_back(entry: str, value: dict[str, object], expected: Entry) -> None:
    assert entry_from_json(BatchId.parse(f"{RUN}:{entry}"), json.dumps(value)) == expected
    assert json.loads(entry_to_json(expected)) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [("r:begin", '{"file": "x"}'), ("r:1.x", "{}"), ("r:1", "no JSON"), ("r:1", "[1]")],
)
def test_an_entry_that_can_not_be_read_is_named(key: str, text: str) -> None:
    with pytest.raises(LedgerError, match=f"an entry '{key}'"):
        read_ledger({"r:2": "{}", key: text})
