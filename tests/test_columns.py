from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import opened, rows_of

from daskingest.articles import Article, Columns, column_index
from daskingest.errors import UsageError


@pytest.mark.parametrize(
    ("names", "wanted", "message"),
    [
        (
            ["text", "source", "text"],
            None,
            r"^2 columns could hold the content: 'text' \(column 1\) and 'text' \(column 3\); "
            "choose one with --content-column 'text#1' or 'text#2'$",
        ),
        (["Text", "source", "text"], None, r"--content-column 'Text' or 'text'$"),
        (["text", "body", "source", "body"], "body", r"'body' \(column 2\).*'body#1' or 'body#2'"),
        (["text", "source"], "text#2", r"expected 'text#2', found the columns 'text', 'source'"),
        (["text", "source"], "text#0", r"expected 'text#0'"),
        (["text", "source"], "text#x", r"expected 'text#x'"),
    ],
)
def test_columns_that_could_be_meant(names: list[str], wanted: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Columns.find(names, wanted)


def test_a_doubled_column_that_is_not_needed_does_no_harm() -> None:
    assert Columns.find(["x", "text", "x", "source"]) == Columns("text", "source")
    assert Columns.find(["text", "content", "source"]) == Columns("content", "source")


def test_a_doubled_column_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,source,text,text#2\none,P,two,three\n")

    def text(**options: str) -> str:
        [row] = rows_of(opened(path, **options))
        assert isinstance(row, Article)
        return row.content

    assert text(content_column="text#1") == "one"
    assert text(content_column="text#2") == "three"  # which is the name of one
    path.write_text("text,source,text\none,P,two\n")
    assert text(content_column="text#2") == "two"
    # The first one may be called by the name alone, as it was in runs of earlier versions.
    assert opened(path, content_column="text#1").columns.content == "text"
    path.write_text("date,text,source,date\n2016-01-01,one,P,2017-01-01\n")
    with pytest.raises(UsageError, match=r"2 columns could hold the date.*--date-column 'date#1'"):
        opened(path)
    [row] = rows_of(opened(path, date_column="date#2"))
    assert isinstance(row, Article)
    assert row.month == 564
    assert rows_of(opened(path, dates=False)) == [Article("one", "P")]


@given(st.lists(st.sampled_from(["a", "b", "a#2", "a#1", ""])))
def test_every_column_has_a_name(names: list[str]) -> None:
    for place, name in enumerate(names):
        number = names[: place + 1].count(name)
        called = name if number == 1 else f"{name}#{number}"
        if called == name or called not in names:
            assert column_index(names, called) == place
