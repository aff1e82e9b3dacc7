"""Two programs that count the same file into the same store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from program import Program, content, ledger, until

TEXT = "Angela Merkel met Barack Obama in Berlin, take {}."


@pytest.mark.slow
@pytest.mark.parametrize("savers", ["1", "2"])
def test_the_later_one_goes_on_and_the_earlier_one_ends(
    write_csv: Callable[..., str], tmp_path: Path, savers: str
) -> None:
    path = write_csv([(f"P{i % 4}", TEXT.format(i) * 20) for i in range(2000)])
    options = ("run-csv", path, "--workers", "1", "--batch-bytes", "3000", "--savers", savers)
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    store = tmp_path / "store.db"
    often = ("--store", f"sqlite:///{store}", "--flush-interval", "0.1")
    first = Program(tmp_path / "first", *options, *often)
    until(lambda: ledger(store) > 2)
    with first.suspended():  # or it might be done before the other has begun
        second = Program(tmp_path / "second", *options, *often)
        until(lambda: "counting" in second.output)
        before = ledger(store)
        until(lambda: ledger(store) > before + 9)
    assert first.wait() == 1, first.output
    assert "another daskingest, started later, is counting the same articles" in first.output
    assert "Traceback" not in first.output
    assert second.wait() == 0, second.output
    assert content(store)[0] == {f"p{i}": 500 for i in range(4)}
    first.wait_for_the_family_s_end()
