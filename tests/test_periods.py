"""Words of some months, and words from month to month."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import daskingest
from daskingest.cli.app import app
from daskingest.cli.commands.trend import bars
from daskingest.counts import Counts
from daskingest.errors import UsageError
from daskingest.ledger import BatchId, Counted
from daskingest.months import month_named
from daskingest.stores import Store, open_store, periods
from daskingest.stores.periods import Period, period_of, trends_of, words_within

JUNE, JULY, AUGUST = 557, 558, 559


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/s.db", create=True) as opened:
        counts = Counts()
        counts.add_article("The Post", [("NASA", "ORG")] * 3 + [("Rome", "GPE")], JUNE)
        counts.add_article("The Post", [("Rome", "GPE")] * 2, JULY)
        counts.add_article("The Post", [("Paris", "GPE")], JULY)
        counts.add_article("The Post", [("Rome", "GPE")] * 9)
        counts.add_article("Times", [("Rome", "GPE")], AUGUST)
        opened.commit(counts.packed(), {BatchId("r", "1"): Counted()})
        yield opened


def test_periods() -> None:
    assert period_of("2016-06", "2016-07-31") == Period(JUNE, JULY)
    assert JUNE in Period(JUNE, JUNE)
    assert JULY not in Period(None, JUNE)
    assert not period_of(None, "")
    for since, until in (("2016", None), (None, "June"), ("2016-07", "2016-06")):
        with pytest.raises(UsageError, match=r"since|until"):
            period_of(since, until)


def test_the_words_of_a_period(store: Store) -> None:
    found, certain = words_within(store, "the post", Period(JULY, None), 10)
    assert certain
    assert [(each.name, each.count) for each in found] == [("Rome", 2), ("Paris", 1)]
    found, _ = words_within(store, "the post", Period(None, JUNE), 1)
    assert [(each.name, each.count) for each in found] == [("NASA", 3)]
    assert words_within(store, "the post", Period(JUNE, JUNE), 5, "GPE")[0][0].name == "Rome"
    assert words_within(store, "none", Period(JULY, None), 10) == ([], True)


mentions = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3)), max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(mentions, st.integers(1, 4), st.integers(0, 3))
def test_however_few_are_read_at_a_time(
    tmp_path: Path, mentions: list[tuple[str, int]], limit: int, month: int
) -> None:
    """Reading stops early, and misses nothing."""
    path = tmp_path / "s.db"
    path.unlink(missing_ok=True)
    with (
        open_store(f"sqlite:///{path}", create=True) as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(periods, "_PAGE", 2)
        counts = Counts()
        for word, when in mentions:
            counts.add_article("P", [(word, "ORG")], when)
        store.commit(counts.packed(), {BatchId("r", "1"): Counted()})
        found, certain = words_within(store, "p", Period(month, month), limit)
    assert certain
    every = Counter(word for word, when in mentions if when == month)
    expected = sorted(every.items(), key=lambda item: (-item[1], item[0]))[:limit]
    assert [(each.word, each.count) for each in found] == expected


def test_trends(store: Store) -> None:
    found = trends_of(store, ["rome", "nasa", "none"], store.publications())
    assert [(each.word.name, each.publication.name) for each in found] == [
        *(("Rome", "The Post"), ("Rome", "Times"), ("NASA", "The Post")),
    ]
    assert found[0].mentions == {JUNE: 1, JULY: 2}
    assert found[0].rates() == {JUNE: 1000.0, JULY: 1000.0}
    assert found[2].rates() == {JUNE: 3000.0, JULY: 0.0}
    assert found[2].rates(12) == {JUNE // 12 * 12: 1000.0}
    [only] = trends_of(store, ["rome"], store.publications()[:1], Period(JULY, JULY))
    assert (only.mentions, only.articles) == ({JULY: 2}, {JULY: 2})


def test_bars_are_as_high_as_rates_are() -> None:
    assert bars({1: 0.0, 2: 5.0, 4: 10.0}, range(1, 5)) == " ▅·█"
    assert bars({1: 0.0}, range(1, 2)) == " "


def test_the_commands(store: Store, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--store", url])
        assert result.exit_code == 0, result.output
        return result.stdout

    [rome, times] = json.loads(run("trend", "  ROME", "--json"))
    assert rome["name"] == "Rome"
    assert rome["months"][1] == {"month": "2016-07", "count": 2, "articles": 2}
    assert times["publication"] == "Times"
    shown = run("trend", "Rome", "--publication", "the post")
    assert "2016-06" in shown
    assert "Times" not in shown
    found = json.loads(run("top", "the post", "--since", "2016-07", "--json"))
    assert [(each["name"], each["count"]) for each in found] == [("Rome", 2), ("Paris", 1)]
    run("export", str(tmp_path / "months.csv"), "--by", "month")
    lines = (tmp_path / "months.csv").read_text().splitlines()
    assert lines[0] == "publication,word,month,count"
    assert "The Post,rome,2016-07,2" in lines
    frame = daskingest.trend("rome", store=url)
    assert frame["count"].tolist() == [1, 2, 1]
    assert frame["month"].dt.year.tolist() == [2016] * 3
    months = daskingest.words(url, "the POST", by="month")
    assert months.groupby("word")["count"].sum().to_dict() == {"nasa": 3, "paris": 1, "rome": 3}
    assert month_named("2016-06") == JUNE
