"""Checksums: of every byte of a range, and of the whole from its ranges."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daskingest.errors import DaskingestError
from daskingest.sources.checksum import FASTEST, Kind, Whole, checksum, matches
from daskingest.sources.csvfile import open_csv


def whole_of(*parts: str) -> str:
    whole = Whole()
    for each in parts:
        whole.add(each)
    return str(whole)


KINDS = sorted({Kind.SHA256, FASTEST})


@pytest.mark.parametrize("kind", KINDS)
def test_a_checksum_is_of_every_byte_and_of_the_order(kind: Kind) -> None:
    data = bytes(range(256))
    mine = checksum(data, kind)
    assert mine == checksum(memoryview(data), kind) == checksum(bytearray(data), kind)
    assert len(mine) == 32 + len(kind)
    assert Kind.of(mine) is kind
    assert matches(data, mine)
    changed = {checksum(data[:i] + b"\0" + data[i + 1 :], kind) for i in range(1, 256)}
    assert len(changed) == 255
    assert whole_of("a", "b") != whole_of("b", "a")
    assert Kind.of(whole_of(mine)) is kind


def test_what_the_ledgers_have_stays_comparable() -> None:
    """Known values: an earlier version's, and XXH3's own for the empty text."""
    assert checksum(b"") == "e3b0c44298fc1c149afbf4c8996fb924"
    assert (
        whole_of("0f" * 16, "f0" * 16) == hashlib.sha256(b"0f" * 16 + b"f0" * 16).hexdigest()[:32]
    )
    if FASTEST is Kind.XXH3:
        assert checksum(b"", FASTEST) == "x99aa06d3014798d86001c324468d497f"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_range_has_the_checksum_of_its_bytes(
    write_csv: Callable[..., str], tmp_path: Path, name: str, kind: Kind
) -> None:
    data = Path(write_csv([("P", f"text {i}") for i in range(100)])).read_bytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    parts = list(open_csv(str(path)).ranges(200, kind=kind))
    assert len(parts) > 10
    for part in parts:
        assert part.checksum == checksum(data[part.start : part.end], kind)
        assert matches(part.read(), part.checksum)


def test_rows_that_were_changed_since_the_file_was_cut_are_refused_by_their_place(
    write_csv: Callable[..., str],
) -> None:
    path = Path(write_csv([("P", f"text {i}") for i in range(100)]))
    parts = list(open_csv(str(path)).ranges(1_000))
    path.write_bytes(path.read_bytes().replace(b"text 60", b"TEXT 60"))
    refused = []
    for part in parts:
        try:
            assert list(part.rows())
        except DaskingestError as error:
            refused.append(part)
            assert f"bytes {part.start:,} to {part.end:,} of {path}" in str(error)
    assert [each.first_row for each in refused] == [
        each.first_row for each in parts if each.first_row <= 60 < each.first_row + each.row_count
    ]
    assert list(replace(refused[0], checksum="").rows())
