from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import opened, rows_of, without_places

from daskingest.articles import Article, Reject
from daskingest.errors import UsageError
from daskingest.sources import jsonlines
from daskingest.sources.datafile import Extent

GOOD = b'{"text": "one", "source": "P"}'
PIECES: list[tuple[bytes, str | None]] = [
    (GOOD + b"\r\n", None),
    (b"\n", ""),
    (b" \t\r\n", ""),
    (b'{"text": "", "source": "P"}\n', "no content"),
    (b'{"text": " \\n", "source": "P"}\n', "no content"),
    (b'{"text": null, "source": "P"}\n', "no content"),
    (b'{"source": "P"}\n', "no content"),
    (b'{"text": 1, "source": "P"}\n', "content is not text"),
    (b'{"text": NaN, "source": "P"}\n', "content is not text"),
    (b'{"text": ["a"], "source": "P"}\n', "content is not text"),
    (b'{"text": "a", "source": ""}\n', "no publication"),
    (b'{"text": "a", "source": {"name": "P"}}\n', "publication is not text"),
    (b'{"text": "a", "source": "' + b"x" * 1001 + b'"}\n', "publication too long"),
    (b'{"text": "\\ud800", "source": "P"}\n', "content is not valid Unicode"),
    (b'{"text": "caf\xe9", "source": "P"}\n', "invalid UTF-8"),
    (b'{"text": "a", "source": "P"\n', "not JSON"),
    (b'{"text": "a\0b", "source": "P"}\n', "not JSON"),
    (b"\0\0\0\0\n", "not JSON"),
    (b'{"text": "a", "n": ' + b"[" * 100_000 + b"}\n", "not JSON"),
    (b'{"text": "a", "n": ' + b"1" * 5000 + b"}\n", "not JSON"),
    (b'["a", "P"]\n', "not an object"),
    (b"null\n", "not an object"),
    (b'{"text": "no", "text": "one", "source": "P", "n": NaN}\n', None),
    (b'{"text": "one",\r"source": "P"}\n', None),
    (b'{"text": "\\u006fne", "source": " P\\n"}\n', None),
    (b"\n\n", ""),
    (GOOD, None),
]
"""Lines, and why each is rejected; an empty reason: it is no row at all."""


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("batch_bytes", [1, 100, 1 << 20])
def test_every_bad_line_is_a_reject_with_its_place(
    tmp_path: Path, batch_bytes: int, mark: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(mark + b"".join(piece for piece, _ in PIECES))
    file = opened(path)
    assert without_places(rows_of(file, batch_bytes)) == [
        reason or Article("one", "P") for _, reason in PIECES if reason != ""
    ]
    places, offset = [], len(mark)
    for piece, reason in PIECES:
        if reason:
            places.append(offset)
        offset += len(piece)
    rejects = [each for each in rows_of(file, batch_bytes) if isinstance(each, Reject)]
    assert [each.offset for each in rejects] == places
    assert {each.detail for each in rejects if each.reason == "content is not text"} == {
        "found int",
        "found float",
        "found list",
    }


lines = st.lists(st.sampled_from([GOOD, b"", b" ", b"\r", b"\t \r", b"nonsense", b"\0"]))


@given(lines, st.booleans(), st.integers(1, 100))
def test_rows_are_counted_as_they_are_read(
    tmp_path_factory: pytest.TempPathFactory, found: list[bytes], ended: bool, batch_bytes: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    path.write_bytes(GOOD + b"\n" + b"\n".join(found) + b"\n" * ended)
    rows = rows_of(opened(path), batch_bytes)
    assert len(rows) == 1 + sum(bool(each.strip(b" \r\t")) for each in found)


def test_a_line_without_end_is_rejected_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonlines, "MAX_RECORD", 1000)
    long = b'{"text": "' + b"x" * 2500 + b'", "source": "P"}\n'
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b"\n" + long + GOOD + b"\n")
    for batch_bytes in (1, 50, 900):
        reasons = without_places(rows_of(opened(path), batch_bytes))
        assert reasons == [
            Article("one", "P"),
            *("row too long", "row too long", "not JSON"),
            Article("one", "P"),
        ]


def test_columns_are_all_names_that_the_beginning_has(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    values: list[object] = [
        {"id": 1, "meta": {"site": {"name": "P"}, "n": {}}},
        "no object",
        {"meta.site.name": "Q", "body": {"plain": "text"}},
        {"meta": "other", "body.plain": "text"},
        {"meta": {"site.name": "R"}, "body": {"plain": "text"}},
        {"meta": {"site": {"name": "P"}}, "body": {"plain": "text"}},
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in values))
    with pytest.raises(UsageError, match="no column for the content: expected 'article'") as raised:
        opened(path)
    for name in ("id", "meta.site.name", "meta.n", "body.plain", "body.plain", "meta"):
        assert repr(name) in str(raised.value)
    file = opened(path, content_column="body.plain", publication_column="meta.site.name")
    assert without_places(rows_of(file)) == [
        "no content",
        "not an object",
        Article("text", "Q"),
        "no publication",
        Article("text", "R"),
        Article("text", "P"),
    ]


def test_a_first_line_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'"broken", "source": "P"}\n' + GOOD + b"\n")
    assert without_places(rows_of(opened(path))) == ["not JSON", Article("one", "P")]


def test_a_first_line_longer_than_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daskingest.sources.textfile.PROBE_BYTES", 100)
    path = tmp_path / "a.jsonl"
    text = "x" * 1000
    path.write_text(json.dumps({"text": text, "source": "P"}) + "\n" + GOOD.decode())
    assert rows_of(opened(path)) == [Article(text, "P"), Article("one", "P")]


@pytest.mark.parametrize(
    ("before", "after", "start", "broken"),
    [
        (GOOD + b"\n", GOOD + b"\n", len(GOOD) + 1, None),
        (GOOD, b"\n" + GOOD, len(GOOD) + 1, None),
        (GOOD + b"\n", b"\n\n", None, None),
        (GOOD + b"\n" + GOOD[:9], GOOD[9:] + b"\n" + GOOD, 2 * len(GOOD) + 2, (len(GOOD) + 1,)),
    ],
)
def test_a_file_that_grew(
    tmp_path: Path, before: bytes, after: bytes, start: int | None, broken: tuple[int, ...] | None
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(before)
    file = opened(path)
    last = list(file.ranges(1))[-1]
    assert file.growth(last.start, last.end) is None
    path.write_bytes(before + after)
    file = opened(path)
    growth = file.growth(last.start, last.end)
    assert growth is not None
    assert (growth.start, growth.size) == (start, len(after))
    assert (growth.broken or (None,))[0] == (broken or (None,))[0]
    if start is not None:
        [part] = file.ranges(1, Extent(start))
        assert list(part.rows()) == [Article("one", "P")]


def test_a_nul_in_a_text_is_as_in_csv(tmp_path: Path, write_csv: Callable[..., str]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"article": "a\0b", "publication": "P"}))
    expected = [each.content for each in rows_of(opened(path)) if isinstance(each, Article)]
    rows = rows_of(opened(write_csv([("P", "a\0b")])))
    assert [each.content for each in rows if isinstance(each, Article)] == expected
