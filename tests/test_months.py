"""Months of dates, as people and programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.articles import Article, Columns, article_from
from daskingest.months import month_from, month_named, month_of, month_text


@pytest.mark.parametrize(
    "date",
    [
        *(
            "2016-06-09",
            "2016-06",
            "2016-06-09 18:31:00",
            "2016-06-09T18:31:00.5+02:00",
            " 2016-6-9",
        ),
        *("20160609", "201606", "2016/06/09", "2016.6.9", "Thu, 09 Jun 2016 18:31:00 GMT"),
        *("9 Jun 2016 18:31", "June 9, 2016", "Jun 9, 2016", "9 June 2016", "June 2016"),
    ],
)
def test_a_date_is_in_its_month(date: str) -> None:
    number = month_of(date)
    assert number is not None
    assert month_text(number) == "2016-06"


@pytest.mark.parametrize(
    "date",
    [
        *("", " ", "nan", "2016", "06/07/2016", "2016-13-01", "2016-00-01", "3016-01-01", "20161"),
        *("1465489860", "1465489860000", "yesterday", "12 Angry Men", None, 2016, 6.0, ["2016-06"]),
    ],
)
def test_what_is_no_date_has_no_month(date: object) -> None:
    assert month_of(date) is None


@pytest.mark.parametrize(
    ("year", "month"), [(2016, 6), ("2016", "6"), ("2016", "6.0"), (2016.0, "06"), ("2016", "Jun")]
)
def test_a_year_and_a_month(year: object, month: object) -> None:
    assert month_from(year, month) == month_named("2016-06")


@pytest.mark.parametrize(
    ("year", "month"),
    [(None, 6), ("2016", ""), ("2016", "13"), ("inf", "6"), ("2016.5", "6"), (True, 6), ("", "")],
)
def test_no_year_or_no_month(year: object, month: object) -> None:
    assert month_from(year, month) is None


@given(st.dates())
def test_every_day_of_a_plausible_year(day: object) -> None:
    number = month_of(str(day))
    assert number is None or month_text(number) == str(day)[:7]


@given(st.text())
def test_any_text_is_a_date_or_none(text: str) -> None:
    number = month_of(text)
    assert number is None or month_of(month_text(number)) == number


def test_the_columns_of_a_date() -> None:
    names = ["Date", "year", "month", "article", "publication"]
    columns = Columns.find(names)
    assert columns.dates == ("Date", "year", "month")
    assert Columns.find(names, dates=False).dates == ()
    assert Columns.find(names, date="year").dates == ("year",)
    assert Columns.find(["year", "article", "publication"]).dates == ()
    row = {"article": "a", "publication": "p", "Date": "2016-06-09", "year": "2015", "month": "1"}
    june, january = month_named("2016-06"), month_named("2015-01")
    assert article_from(row, columns) == Article("a", "p", None, june)
    assert article_from({**row, "Date": "?"}, columns).month == january
    assert article_from({**row, "Date": "?", "year": ""}, columns).month is None
