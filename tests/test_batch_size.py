"""How large batches are made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.pipeline.batch_size import even

MIB, LEAST = 1 << 20, 128 << 10
SIZES = st.integers(0, 1 << 36)


@pytest.mark.parametrize(
    ("size", "batches"), [(100_000, 1), (MIB, 8), (5 * MIB, 16), (51 * MIB, 64), (64 * MIB, 64)]
)
def test_batches_are_a_number_that_workers_share(size: int, batches: int) -> None:
    assert -(-size // even(MIB, [size])) == batches


@given(st.integers(1, 1 << 24), st.lists(SIZES | st.none(), max_size=5))
def test_batches_are_never_larger_than_asked_nor_tiny(
    batch_bytes: int, sizes: list[int | None]
) -> None:
    assert min(batch_bytes, LEAST) <= even(batch_bytes, sizes) <= batch_bytes


@given(st.integers(LEAST, 1 << 24), st.integers(1, 1 << 36))
def test_large_files_have_batches_as_asked(batch_bytes: int, batches: int) -> None:
    """Of n batches there are at most 15 more."""
    size = batch_bytes * batches
    assert -(-size // even(batch_bytes, [size])) <= batches + 15


def test_files_are_looked_at_together() -> None:
    """Those of a group are in flight at the same time."""
    assert even(MIB, [MIB] * 64) == MIB
    assert even(MIB, [51 * MIB, None]) == MIB
