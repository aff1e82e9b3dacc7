"""Checksums: of every byte of a range, and of the whole from its ranges."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daskingest.errors import DaskingestError
from daskingest.sources.boundaries import ranges
from daskingest.sources.checksum import Whole, checksum
from daskingest.sources.csvfile import open_csv


def whole_of(*parts: str) -> str:
    whole = Whole()
    for each in parts:
        whole.add(each)
    return str(whole)


def test_a_checksum_is_of_every_byte_and_of_the_order() -> None:
    data = bytes(range(256))
    assert checksum(data) == checksum(memoryview(data)) == checksum(bytearray(data))
    assert len(checksum(data)) == 32
    changed = {checksum(data[:i] + b"\0" + data[i + 1 :]) for i in range(1, 256)}
    assert len(changed) == 255
    assert whole_of("a", "b") != whole_of("b", "a")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_range_has_the_checksum_of_its_bytes(
    write_csv: Callable[..., str], tmp_path: Path, name: str
) -> None:
    data = Path(write_csv([("P", f"text {i}") for i in range(100)])).read_bytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    parts = list(ranges(open_csv(str(path)), 200))
    assert len(parts) > 10
    for part in parts:
        assert part.checksum == checksum(data[part.start : part.end]) == checksum(part.read())


def test_rows_that_were_changed_since_the_file_was_cut_are_refused_by_their_place(
    write_csv: Callable[..., str],
) -> None:
    path = Path(write_csv([("P", f"text {i}") for i in range(100)]))
    parts = list(ranges(open_csv(str(path)), 1_000))
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
