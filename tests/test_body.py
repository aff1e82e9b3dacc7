"""Bodies: their types, and their bytes within limits of size and time."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from daskingest.web.body import LINES_TYPES, Body, media_type
from daskingest.web.problems import Problem
from daskingest.web.responses import JSON_TYPE

GZIP = {"content-encoding": "gzip"}


class Messages:
    """What a server hands over: a body in parts, and what is `last`."""

    def __init__(self, parts: Sequence[bytes], last: Message | None = None) -> None:
        more = [True] * (len(parts) - 1) + [last is not None]
        self._messages: Iterator[Message] = iter(
            [
                {"type": "http.request", "body": part, "more_body": its}
                for part, its in zip(parts, more, strict=True)
            ]
            + ([last] if last is not None else [])
        )

    async def __call__(self) -> Message:
        return next(self._messages)


def whole(body: Body) -> bytes:
    """All of a body."""

    async def read() -> bytes:
        parts = []
        while part := await body.read():
            parts.append(part)
        return b"".join(parts)

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("application/json", JSON_TYPE),
        ("Application/JSON; charset=UTF-8", JSON_TYPE),
        ('application/json; charset="utf8"', JSON_TYPE),
        ("application/x-ndjson", LINES_TYPES[0]),
        ("application/jsonl;charset=utf-8", LINES_TYPES[0]),
    ],
)
def test_types_that_are_taken(header: str, found: str) -> None:
    assert media_type({"content-type": header}) == found


@pytest.mark.parametrize("header", ["", "text/plain", "application/json; charset=latin-1"])
def test_other_types(header: str) -> None:
    with pytest.raises(Problem) as raised:
        media_type({"content-type": header})
    assert raised.value.status == 415


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_a_body_is_its_parts(parts: list[bytes]) -> None:
    assert whole(Body({}, Messages(parts), 1_000)) == b"".join(parts)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 40))
def test_gzip_of_several_members_in_any_parts(members: list[bytes], size: int) -> None:
    packed = b"".join(map(gzip.compress, members))
    parts = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert whole(Body(GZIP, Messages(parts), 10_000)) == b"".join(members)


def test_little_data_that_holds_much_comes_bit_by_bit() -> None:
    body = Body(GZIP, Messages([gzip.compress(bytes(3_000_000))]), 4_000_000)
    sizes = []

    async def read() -> None:
        while part := await body.read():
            sizes.append(len(part))

    asyncio.run(read())
    assert sum(sizes) == 3_000_000
    assert max(sizes) <= 1 << 18
    assert body.ended


@pytest.mark.parametrize(
    ("headers", "parts", "status", "text"),
    [
        ({}, [b"a" * 6, b"a" * 5], 413, "at most 10 bytes"),
        ({"content-length": "11"}, [], 413, "at most 10 bytes"),
        (GZIP, [gzip.compress(b"a" * 11)], 413, "at most 10 bytes"),
        (GZIP, [b"a" * 20], 400, "not gzip"),
        (GZIP, [gzip.compress(b"a")[:-1]], 400, "cut off"),
        (GZIP, [b""], 400, "cut off"),
        (GZIP, [gzip.compress(b"a") + b"more"], 400, "not gzip"),
        (GZIP, [zlib.compress(b"a")], 400, "not gzip"),
        ({"content-encoding": "br"}, [], 415, "found 'br'"),
    ],
)
def test_wrong_bodies(headers: dict[str, str], parts: list[bytes], status: int, text: str) -> None:
    with pytest.raises(Problem, match=text) as raised:
        whole(Body(headers, Messages(parts or [b""]), 10))
    assert raised.value.status == status


@pytest.mark.parametrize("length", ["10", "x", "-1", "٣", "9" * 30])
def test_a_stated_length_is_no_more_than_a_hint(length: str) -> None:
    assert whole(Body({"content-length": length}, Messages([b"a" * 10]), 10)) == b"a" * 10


def test_a_connection_that_ends_early() -> None:
    messages = Messages([b"a"], last={"type": "http.disconnect"})
    with pytest.raises(Problem, match="the connection ended") as raised:
        whole(Body({}, messages, 10))
    assert (raised.value.status, raised.value.articles) == (400, 0)


def test_a_body_that_never_comes() -> None:
    clock = chain([0.0], repeat(1e6))

    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    with pytest.raises(Problem, match="too slowly: 0 bytes so far") as raised:
        whole(Body({}, receive, 10, clock=lambda: next(clock)))
    assert raised.value.status == 408


def test_pieces_are_parts_together() -> None:
    body = Body({}, Messages([b"abc", b"def", b"", b"g"]), 10)

    async def read() -> list[tuple[bytes, bool]]:
        return [(await body.piece(4), body.ended), (await body.piece(4), body.ended)]

    # An empty part before the end is passed over.
    assert asyncio.run(read()) == [(b"abcdef", False), (b"g", True)]
