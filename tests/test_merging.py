"""The compiled loop that merges rows: what it refuses, and where it can't be compiled or kept.

What it comes to is tested with `merged` in `test_packed`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from daskingest import merging
from daskingest.merging import Rows, merged, rows_of, words_of

MERGE = """
import numpy as np, pyarrow as pa
from daskingest.merging import merged, rows_of, words_of
LIMIT
def rows(*words):
    zeros = np.zeros(len(words), np.int32)
    return rows_of(zeros, pa.array(words), zeros, np.ones(len(words), np.int64))
whole = merged([rows("a", "ab", "b"), rows("ab", "abc"), rows("a", "c")])
print(*words_of(whole).to_pylist(), *whole.counts.tolist())
"""


def rows(*each: tuple[int, str]) -> Rows:
    zeros = np.zeros(len(each), np.int32)
    publications = np.array([number for number, _ in each], np.int32)
    words = pa.array([word for _, word in each], pa.string())
    return rows_of(publications, words, zeros, np.ones(len(each), np.int64))


def keys(of: Rows) -> list[tuple[int, str]]:
    return list(zip(of.publications.tolist(), words_of(of).to_pylist(), strict=True))


@pytest.mark.parametrize(
    "wrong",
    [
        [(0, "b"), (0, "a")],
        [(0, "ab"), (0, "a")],
        [(0, "abc"), (0, "abb")],
        [(1, "a"), (0, "b")],
        [(0, "é"), (0, "z")],
    ],
)
def test_rows_that_are_not_in_order_are_refused(wrong: list[tuple[int, str]]) -> None:
    """They would be added to other words'."""
    with pytest.raises(ValueError, match="not in order"):
        rows(*wrong)
    assert keys(rows(*sorted(wrong))) == sorted(wrong)


def test_no_rows_are_merged_as_any() -> None:
    one = rows((0, "a"), (0, "ab"), (2, "a"))
    for several in ([rows(), one], [one, rows()], [rows(), rows(), one, rows()]):
        assert keys(merged(several)) == [(0, "a"), (0, "ab"), (2, "a")]
    assert keys(merged([rows(), rows()])) == []


def test_more_words_than_places_have_numbers_for_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(merging, "_MOST", 10)
    assert len(keys(merged([rows((0, "12345")), rows((0, "67890"))]))) == 2
    with pytest.raises(OverflowError, match="11 bytes of words, expected up to 10"):
        merged([rows((0, "12345")), rows((0, "678901"))])


@pytest.mark.parametrize(
    ("limit", "variables"),
    [
        ("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))", {}),  # a full disk
        ("", {"NUMBA_DISABLE_JIT": "1"}),
    ],
)
def test_it_works_where_it_is_not_kept_or_compiled(
    tmp_path: Path, limit: str, variables: dict[str, str]
) -> None:
    pytest.importorskip("resource", reason="Windows has none")
    result = subprocess.run(
        [sys.executable, "-c", MERGE.replace("LIMIT", limit)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "a ab abc b c 2 2 1 1 1\n", result.stderr


def test_it_is_compiled_anew_when_a_source_has_changed() -> None:
    compiled: Any = merging._merge
    stamp = compiled._cache._cache_file._source_stamp
    assert {name for name, *_ in stamp} >= {"merging.py", "compiling.py"}
