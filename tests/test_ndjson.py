"""Lines of JSON: however they are cut into pieces, the same comes out."""

from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from daskingest.articles import Article
from daskingest.web.ndjson import NdjsonReader

MOST = 100
GOOD = b'{"content": "text", "publication": "p"}'
LINES = st.sampled_from(
    [GOOD, b"", b" \r", b"{", b"[]", b"x" * 99, b"x" * 100, b"x" * 101, b"x" * 350, GOOD + b"\r"]
)


def read(pieces: list[bytes]) -> tuple[list[Article], dict[str, object], str]:
    """What becomes of a body that comes in these pieces."""
    lines, articles = NdjsonReader(MOST), []
    for number, piece in enumerate(pieces, 1):
        articles += lines.feed(piece, last=number == len(pieces))
    assert lines.accepted == len(articles)
    assert lines.rejected == lines.reasons.total()
    return articles, lines.answer(), lines.digest


@given(st.lists(LINES, max_size=12), st.lists(st.integers(0, 200), max_size=12))
def test_pieces_do_not_matter(lines: list[bytes], sizes: list[int]) -> None:
    body = b"\n".join(lines)
    pieces, at = [], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    found = read([*pieces, body[at:]])
    assert found == read([body])
    assert found[2] == hashlib.sha256(body).hexdigest()
    good = [line for line in lines if line.startswith(GOOD)]
    assert len(found[0]) == len(good)
    blank = [line for line in lines if not line.strip()]
    assert found[1]["rejected"] == len(lines) - len(good) - len(blank)


def test_lines_keep_their_numbers() -> None:
    body = b"\n".join([GOOD, b"", b"x" * 1_000, GOOD, b"{", "é".encode() * 40])
    for size in (1, 7, 2_000):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        _, answer, _ = read(pieces)
        errors = answer["errors"]
        assert isinstance(errors, list)
        assert [(each["line"], each["reason"]) for each in errors] == [
            (3, "article too large"),
            (5, "not JSON"),
            (6, "not JSON"),
        ]


def test_a_line_of_few_characters_can_be_of_many_bytes() -> None:
    content = "é" * 40
    line = json.dumps({"content": content, "publication": "p"}, ensure_ascii=False).encode()
    assert len(line.decode()) < MOST < len(line)
    assert read([line])[1]["rejected"] == 1


def test_not_all_of_very_many_rejected_lines_are_listed() -> None:
    lines = NdjsonReader(MOST)
    assert lines.feed(b"x\n" * 1_500, last=True) == []
    errors = lines.answer()["errors"]
    assert isinstance(errors, list)
    assert len(errors) == 1_000
    assert lines.rejected == lines.reasons["not JSON"] == 1_500
