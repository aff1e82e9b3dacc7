"""Publishing: what a target has is what the sources have, whatever dies or is confused."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from emulated import Proxy, RandomFaults, content
from hypothesis import given
from hypothesis import strategies as st
from program import until

from daskingest.counts import Counts
from daskingest.errors import DaskingestError, UsageError
from daskingest.ledger import BatchId, Begun, Counted, Done, Staged
from daskingest.packed import PackedCounts
from daskingest.progress import Progress
from daskingest.publishing import sending
from daskingest.publishing.changes import Document, Fewer, as_counts, changed, difference
from daskingest.publishing.files import enter_begun, new_runs, staged_here
from daskingest.publishing.publish import forecast, publish
from daskingest.publishing.published import PublishedFile
from daskingest.publishing.report import PublishReport
from daskingest.publishing.route import Route
from daskingest.publishing.sending import Sender
from daskingest.stores import Replaced, firestore, open_store
from daskingest.tally import Tally

ALPHABET = ["a", "b", "u.s.", "`", "\\", "[x]", "é", "\N{GRINNING FACE}", "אב"]
words = st.dictionaries(
    st.text("ab[`", min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["ORG", "GPE", "A.B"]), st.integers(1, 9), min_size=1),
)


def as_documents(words: dict[str, dict[str, int]]) -> list[Document]:
    return [Document(*each) for each in sorted(words.items())]


@given(words, words)
def test_what_changed_makes_of_the_one_what_the_other_is(
    before: dict[str, dict[str, int]], more: dict[str, dict[str, int]]
) -> None:
    now = {
        word: dict(Counter(before.get(word, {})) + Counter(more.get(word, {})))
        for word in before.keys() | more.keys()
    }
    found = [each.word for each in changed(as_documents(now), sorted(before.items()))]
    assert {word: difference(now[word], before.get(word, {})) for word in found} == more
    if more:
        with pytest.raises(Fewer):
            list(changed(as_documents(before), sorted(now.items())))


def test_words_must_come_in_order() -> None:
    with pytest.raises(ValueError, match="not in order"):
        list(changed([Document("b", {"ORG": 1}), Document("a", {"ORG": 1})], []))


@pytest.fixture(params=["sqlite", "firestore", "postgresql"])
def target(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path')}/target.db"
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def source(tmp_path: Path) -> str:
    """The URL of a store with some counts."""
    url = f"sqlite:///{tmp_path}/source.db"
    count(url, 1)
    return url


@pytest.fixture(autouse=True)
def small_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MOST", 10)


def count(url: str, number: int, articles: int = 20) -> None:
    """Count some articles more."""
    random_source, counts = random.Random(number), Counts()
    for _ in range(articles):
        found = [("".join(random_source.choices(ALPHABET, k=2)), "ORG") for _ in range(5)]
        found += [(random_source.choice(ALPHABET), random_source.choice(["GPE", "A.B`c\\d"]))]
        counts.add_article(random_source.choice(["One", "Two/2", ".."]), found)
    with open_store(url, create=True) as store:
        store.commit(counts.packed(), {BatchId(f"r{number}", "1"): Counted()})


def published(source: str, target: str) -> PublishReport:
    """Publish all of it."""
    report = publish(Route.between(source, target), Progress(), lambda: False)
    assert not report.stopped
    return report


def documents(url: str) -> int:
    """How many publications, and words of publications, a store has."""
    articles, found = content(url)
    return len(articles) + len({(key, word) for key, word, _ in found})


def runs_of(url: str, route: Route) -> tuple[str, list[BatchId]]:
    """The run that a source is published by, and what the target's ledger has of it."""
    with PublishedFile(route.published_path) as file, open_store(url) as store:
        return file.state.run, sorted(store.ledger(file.state.run))


def test_each_document_is_written_once_and_later_what_changed(source: str, target: str) -> None:
    report = published(source, target)
    assert content(target) == content(source)
    assert report.words + report.publications == documents(source)
    assert published(source, target).writes == 0
    count(source, 2, articles=1)
    again = published(source, target)
    assert content(target) == content(source)
    assert 1 <= again.words <= 6
    assert again.publications == 1
    run, ledger = runs_of(target, Route.between(source, target))
    assert ledger == [BatchId(run, str(report.commits + again.commits))]


def test_firestore_is_written_to_as_often_as_is_said(source: str, firestore_url: str) -> None:
    route = Route.between(source, firestore_url)
    said = forecast(route)
    assert not route.published_path.exists()
    report = published(source, firestore_url)
    floor = documents(source)
    assert report.writes == floor + 3 * report.commits - 1  # the first has no entry to remove
    assert f"{report.words:,} words and {report.publications} publications" in said
    assert forecast(route) == f"{firestore_url} has all counts already"


def test_several_stores_go_into_one(source: str, target: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    count(other, 2)
    for url in (source, other, source):
        published(url, target)
    both = [content(url) for url in (source, other)]
    sums = (dict(Counter(one) + Counter(two)) for one, two in zip(*both, strict=True))
    assert content(target) == tuple(sums)


def begun_sending(route: Route, commit: bool, acknowledge: bool = False) -> None:
    """Go as far as a program that dies after, or before, its first commit."""
    assert publish(route, _StopAtStart(), lambda: _StopAtStart.started).stopped
    with (
        open_store(route.target_url, create=True) as store,
        PublishedFile(route.published_path) as file,
    ):
        hold = store.take_over(file.state.run, "me")
        file.settle(hold, store.ledger(hold.run))
        parcel = file.next(hold.epoch, 7)
        assert parcel is not None
        entry = {BatchId(hold.run, str(parcel.number)): Counted(checksum=parcel.checksum)}
        if commit:
            store.commit(as_counts(parcel.rows), entry, [hold])
        if acknowledge:
            file.acknowledge(hold.epoch, parcel)


class _StopAtStart(Progress):
    """Stops a publish when all is planned, and nothing sent."""

    started = False

    def __init__(self) -> None:
        type(self).started = False

    def start(self, total: float | None, message: str, status: str) -> None:
        type(self).started = True


@pytest.mark.parametrize("commit", [False, True])
def test_what_became_of_a_commit_is_found_out(source: str, target: str, commit: bool) -> None:
    route = Route.between(source, target)
    begun_sending(route, commit)
    count(source, 2)
    published(source, target)
    assert content(target) == content(source)


def test_of_two_programs_the_later_one_goes_on(source: str, target: str) -> None:
    route = Route.between(source, target)
    begun_sending(route, commit=False)
    with (
        open_store(route.target_url, create=True) as store,
        PublishedFile(route.published_path) as file,
    ):
        first = Sender(store, file, lambda: None, lambda trouble: None)
        first.take_over()
        with PublishedFile(route.published_path) as same, open_store(source) as opened:
            published(source, target)
            assert opened.publications()
            with pytest.raises(Replaced):
                same.next(first.hold.epoch, 5)
        with pytest.raises(Replaced):
            list(first.send())
    count(source, 2)

    class Meddle(Progress):
        def start(self, total: float | None, message: str, status: str) -> None:
            published(source, target)

    with pytest.raises(DaskingestError, match="another daskingest, started later, publishes"):
        publish(route, Meddle(), lambda: False)
    assert content(target) == content(source)


def test_it_can_be_stopped_after_any_commit(source: str, target: str) -> None:
    stops = 0
    while True:
        left = [2]  # one for what is planned, one for the first commit

        def enough(left: list[int] = left) -> bool:
            return left[0] <= 0

        class CountDown(Progress):
            def show(
                self, completed: float, status: Callable[[float], str], trouble: str = ""
            ) -> None:
                assert status(1.0)
                left[0] -= 1

        if not publish(Route.between(source, target), CountDown(), enough).stopped:
            break
        stops += 1
    assert stops > 2
    assert content(target) == content(source)


def refused(source: str, target: str, match: str) -> None:
    before = content(target)
    with pytest.raises(UsageError, match=match):
        published(source, target)
    with pytest.raises(UsageError, match=match):
        forecast(Route.between(source, target))
    assert content(target) == before


def copied(source: str, folder: Path) -> str:
    """The URL of a copy of a store, with all that is beside it."""
    path = Path(source.removeprefix("sqlite:///"))
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("copy"))
    return f"sqlite:///{folder / path.name}"


def test_a_copied_store_is_noticed(source: str, target: str, tmp_path: Path) -> None:
    published(source, target)
    copy = copied(source, tmp_path / "copy")
    count(source, 2)
    published(source, target)
    count(copy, 3)
    with pytest.raises(UsageError, match="don't agree on what was published"):
        published(copy, target)
    assert content(target) == content(source)


def test_a_copy_that_has_sent_the_same_number_is_noticed(
    source: str, target: str, tmp_path: Path
) -> None:
    published(source, target)
    copy = copied(source, tmp_path / "copy")
    count(source, 2, articles=1)
    count(copy, 3, articles=1)
    begun_sending(Route.between(copy, target), commit=False)
    begun_sending(Route.between(source, target), commit=True, acknowledge=True)
    with pytest.raises(UsageError, match="don't agree on what was published"):
        published(copy, target)
    published(source, target)
    assert content(target) == content(source)


def test_a_store_that_was_made_anew_is_noticed(source: str, target: str) -> None:
    route = Route.between(source, target)
    published(source, target)
    route.source_path.unlink()
    count(source, 1)
    refused(source, target, "it was made anew, or restored from a backup")
    route.published_path.unlink()
    published(source, target)  # as another store


def test_a_store_that_was_restored_is_noticed(source: str, target: str) -> None:
    route = Route.between(source, target)
    published(source, target)
    backup = route.source_path.read_bytes()
    count(source, 2)
    published(source, target)
    route.source_path.write_bytes(backup)
    count(source, 3)
    refused(source, target, "it was made anew, or restored from a backup")


def test_a_file_that_is_gone_is_noticed(source: str, target: str) -> None:
    route = Route.between(source, target)
    published(source, target)
    route.published_path.unlink()
    refused(source, target, "which should say how much of it, does not")


def test_an_emptied_target_gets_all_of_it_again(source: str, tmp_path: Path) -> None:
    path = tmp_path / "target.db"
    target = f"sqlite:///{path}"
    published(source, target)
    path.unlink()
    open_store(target, create=True).close()
    assert "to publish to" in forecast(Route.between(source, target))
    published(source, target)
    assert content(target) == content(source)


def test_a_restored_target_is_noticed(source: str, tmp_path: Path) -> None:
    path = tmp_path / "target.db"
    target = f"sqlite:///{path}"
    published(source, target)
    backup = path.read_bytes()
    count(source, 2)
    published(source, target)
    path.write_bytes(backup)
    with pytest.raises(UsageError, match="don't agree on what was published"):
        published(source, target)


def enter_file(url: str, run: str, done: bool) -> None:
    begun = Begun("f.csv", 1, "article", "publication", "m", 1, 1)
    entries = {BatchId.begin(run): begun}
    if done:
        entries |= {BatchId.done(run): Done(Tally(articles=1), "f.csv", 1.0)}  # type: ignore[dict-item]
    with open_store(url, create=True) as store:
        store.commit(PackedCounts(), entries)


def test_the_target_knows_the_files(source: str, target: str, tmp_path: Path) -> None:
    enter_file(source, "one", done=True)
    enter_file(source, "two", done=False)
    published(source, target)
    with open_store(target) as store:
        assert set(store.begun()) == {"one", "two"}
        assert set(store.finished()) == {"one"}
        entry = store.ledger("two")[BatchId.staged("two")]
    assert isinstance(entry, Staged)
    assert entry.path == str(tmp_path / "source.db")
    other = f"sqlite:///{tmp_path}/other.db"
    count(other, 2)
    enter_file(other, "two", done=True)
    refused(other, target, r"f\.csv is counted into this store by way of .*source\.db on .*, and")
    enter_file(target, "three", done=True)
    enter_file(source, "three", done=True)
    refused(source, target, "is counted into this store directly, and from")


def test_a_store_that_is_gone_and_published_nothing_keeps_no_file(
    source: str, target: str, tmp_path: Path
) -> None:
    begun = {"one": Begun("f.csv", 1, "article", "publication", "m", 1, 1)}
    gone = staged_here("publish-gone", tmp_path / "source.db")
    elsewhere = replace(gone, host="another")
    with open_store(target, create=True) as store:
        enter_begun(store, begun, gone)
        with pytest.raises(UsageError, match="go on with it there"):
            new_runs(store, begun, replace(elsewhere, by="publish-new"))
    enter_file(source, "one", done=True)
    published(source, target)
    with open_store(target, create=True) as store:
        entry = store.ledger("one")[BatchId.staged("one")]
        assert isinstance(entry, Staged)
        assert entry.by != gone.by  # and has published something by now
        with pytest.raises(UsageError, match="go on with it there"):
            new_runs(store, begun, gone)


@pytest.mark.slow
def test_faults_at_random_change_no_count(
    source: str, firestore_url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST", 1)
    count(source, 2, articles=60)
    proxy.fault = faults = RandomFaults(0.2)
    published(source, firestore_url)
    assert content(firestore_url) == content(source)
    assert set(faults.seen) >= set(RandomFaults.KINDS)


def test_a_connection_that_is_cut_for_a_while(
    source: str, firestore_url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST", 3)

    def cut() -> None:
        until(lambda: proxy.commits > 8)
        proxy.cut()
        time.sleep(2)
        proxy.connect()

    thread = threading.Thread(target=cut)
    thread.start()
    published(source, firestore_url)
    thread.join()
    assert content(firestore_url) == content(source)


def test_what_is_too_large_goes_in_parts(
    source: str, firestore_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firestore, "_MAX_BYTES", 1_500)
    report = published(source, firestore_url)
    assert content(firestore_url) == content(source)
    assert report.commits > documents(source) / 5


def test_what_the_target_never_takes_is_named(
    source: str, firestore_url: str, proxy: Proxy
) -> None:
    counts = Counts()
    counts.add_article("One", [("forbidden", "ORG"), ("berlin", "GPE")])
    with open_store(source, create=True) as store:
        store.commit(counts.packed(), {BatchId("r2", "1"): Counted()})
    enter_file(source, "one", done=True)
    proxy.invalid = b"forbidden"
    for _ in range(2):
        [told] = published(source, firestore_url).refused
        assert told.startswith("'forbidden' of 'One': ")
        with open_store(firestore_url) as store:
            assert not store.finished()
    articles, found = content(source)
    del found["one", "forbidden", "ORG"]
    assert content(firestore_url) == (articles, found)
    proxy.invalid = None
    assert not published(source, firestore_url).refused
    assert content(firestore_url) == content(source)


def test_counts_that_fell_are_not_published(source: str, target: str) -> None:
    route = Route.between(source, target)
    published(source, target)
    route.source_path.unlink()
    count(source, 2, articles=1)
    with PublishedFile(route.published_path) as file, open_store(source, create=True) as store:
        for _ in range(file.state.source_epoch):  # somebody has repaired a store by hand
            store.take_over(route.mark, file.state.run)
    refused(source, target, "has fewer counts of '.*' than were published")


@pytest.mark.parametrize(
    ("source_url", "target_url", "told"),
    [
        ("firestore://p", "sqlite:///a.db", "expected a store of this machine to publish"),
        ("sqlite:///a.db", "sqlite:///./a.db", "cannot be published to itself"),
    ],
)
def test_routes_that_lead_nowhere(source_url: str, target_url: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Route.between(source_url, target_url)


def test_an_emulator_is_another_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    route = Route.between("sqlite:///a.db", "firestore://p")
    real = route.published_path
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "localhost:1")
    assert route.published_path != real
