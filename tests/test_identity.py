"""Which run a file is: with real files and a real store, where batches are entered as counted."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daskingest.articles import Article
from daskingest.errors import DaskingestError, UsageError
from daskingest.ledger import BatchId, Counted, Done, Entry
from daskingest.models import find_model
from daskingest.packed import PackedCounts
from daskingest.pipeline.file_run import FileRun
from daskingest.pipeline.identity import KnownRuns, first_of, following, places_text
from daskingest.pipeline.patient_rejects import PatientRejects
from daskingest.pipeline.rejects import RejectsFile
from daskingest.pipeline.segment import Comparison, Segment
from daskingest.progress import Progress
from daskingest.settings import Settings
from daskingest.sources.checksum import FASTEST, Kind, run_id
from daskingest.sources.csvfile import open_csv
from daskingest.sources.origin import Origin
from daskingest.stores import Store, open_store
from daskingest.tally import Tally

ROWS = [("The Post", f"Take {i}: " + "words and words " * 20) for i in range(400)]
BATCH = 10_000


class Told(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    warn = say

    def start(self, total: float | None, message: str, status: str) -> None:
        self.said.append(message)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/store.db", create=True) as opened:
        yield opened


def look_up(path: Path | str, store: Store) -> tuple[FileRun, list[str]]:
    """The file as a run, and what was said."""
    folder = Path(str(path).rpartition("::")[2]).parent
    settings = Settings(batch_bytes=BATCH, rejects=str(folder / "rejects.jsonl"))
    rejects = PatientRejects(RejectsFile(settings.rejects))
    run, told = FileRun(open_csv(str(path)), find_model(), settings, rejects), Told()
    run.look_up(store, KnownRuns(store.begun()), told)
    return run, told.said


def count(path: Path | str, store: Store, most: int = 1 << 30) -> Segment:
    """Enter what is new of a file as counted, batch by batch; only the first `most` of them."""
    run, _ = look_up(path, store)
    segment: Segment = run._segment
    begin = BatchId.begin(segment.run)
    known = store.ledger(segment.run)
    if begin not in known:
        store.commit(PackedCounts(), {begin: segment.begun})
    total, left = Tally(), most
    for batch in segment.batches():
        if not left:
            return segment
        left -= 1
        rows = list(batch.rows())
        taken = sum(isinstance(each, Article) for each in rows)
        rejected = Counter({"no content": len(rows) - taken} if taken < len(rows) else {})
        tally = Tally(len(rows), taken, rejected=rejected)
        total.merge(tally)
        if batch.id not in known:
            store.commit(PackedCounts(), {batch.id: Counted(tally, batch.checksum)})
    done = Done(total, str(path), 1, segment.checksum, segment.last[1])
    store.commit(PackedCounts(), {BatchId.done(segment.run): done})
    return segment


@pytest.fixture
def path(write_csv: Callable[..., str]) -> Path:
    return Path(write_csv(ROWS))


def edit(path: Path, *rows: int) -> list[int]:
    """Change some rows in place; where."""
    data, places = bytearray(path.read_bytes()), []
    for row in rows:
        at = data.index(f"Take {row}:".encode())
        data[at : at + 4] = b"TAKE"
        places.append(at)
    path.write_bytes(data)
    return places


def named(error: UsageError) -> list[tuple[int, int]]:
    """The places in an error's text."""
    text = str(error).partition("bytes ")[2].partition(" are not")[0].replace(",", "")
    found = [each for each in text.split() if each.isdigit()]
    return list(zip(map(int, found[::2]), map(int, found[1::2]), strict=True))


def test_a_file_that_is_done_is_found_wherever_it_lies(path: Path, store: Store) -> None:
    count(path, store)
    copy = path.with_name("copy.csv")
    copy.write_bytes(path.read_bytes())
    for each in (path, copy):
        run, said = look_up(each, store)
        assert run.finished
        assert run.summary.tally.rows == run.summary.rows == 400
        [comparing] = said
        assert "with what was counted before" in comparing


@pytest.mark.parametrize("most", [5, 1 << 30])
def test_rows_that_were_edited_are_named_by_their_place(
    path: Path, store: Store, most: int
) -> None:
    count(path, store, most)
    places = edit(path, 15, 60, 61)
    with pytest.raises(UsageError, match="changed since it was counted") as caught:
        look_up(path, store)
    found = named(caught.value)
    assert all(any(start <= at < end for start, end in found) for at in places)
    assert sum(end - start for start, end in found) < 4 * BATCH


def test_an_edit_that_no_sample_sees_is_found(tmp_path: Path, store: Store) -> None:
    """Bytes that differ at 31 places of 8 MB have the same fingerprint."""
    path = tmp_path / "large.csv"
    text = "".join(f"The Post,Take {i}: {'words ' * 50}\n" for i in range(25_000))
    path.write_text("publication,article\n" + text)
    before = open_csv(str(path)).origin.fingerprint()
    step, changed = (path.stat().st_size - (64 << 10)) // 31, bytearray(path.read_bytes())
    for i in range(31):
        at = changed.index(b"Take", i * step + 100_000)
        changed[at : at + 4] = b"TAKE"
    count(path, store)
    path.write_bytes(changed)
    assert open_csv(str(path)).origin.fingerprint() == before
    with pytest.raises(UsageError, match="differ, so nothing of it was counted now"):
        look_up(path, store)


def test_a_file_that_was_pruned_is_still_compared(path: Path, store: Store) -> None:
    segment = count(path, store)
    batches = [each for each in store.ledger(segment.run) if each.is_batch]
    store.forget(batches, store.take_over(segment.run, "me"))
    assert look_up(path, store)[0].finished
    edit(path, 300)
    with pytest.raises(UsageError, match="changed since"):
        look_up(path, store)


def test_rows_not_counted_yet_that_were_changed_are_refused(path: Path, store: Store) -> None:
    count(path, store, most=2)
    edit(path, 390)
    with pytest.raises(UsageError, match="changed since"):
        look_up(path, store)
    path.write_bytes(path.read_bytes()[:-40_000])
    with pytest.raises(UsageError, match="changed since"):
        look_up(path, store)


def test_another_file_that_begins_alike_is_another_run(path: Path, store: Store) -> None:
    first = count(path, store)
    other = path.with_name("other.csv")
    other.write_bytes(path.read_bytes())
    edit(other, 300, 301)
    run, said = look_up(other, store)
    assert not run.finished
    assert run.id != first.run
    assert "begins like" in said[-1]
    assert "is a different file" in said[-1]
    assert count(other, store).run == run.id
    third = path.with_name("third.csv")
    third.write_bytes(path.read_bytes())
    edit(third, 301)
    count(third, store)
    runs = set()
    for each in (path, other, third):
        found, _ = look_up(each, store)
        assert found.finished
        runs.add(found.id)
    assert len(runs) == 3


def test_two_that_begin_alike_are_told_apart_before_anything_is_counted(
    path: Path, store: Store
) -> None:
    count(path, store, most=0)
    other = path.with_name("other.csv")
    other.write_bytes(path.read_bytes() + b"1,,,more,,P\n")
    longer, _ = look_up(other, store)
    assert longer.id == look_up(path, store)[0].id  # it may be what the file grows to
    edit(other, 399)
    assert look_up(other, store)[0].id != longer.id


@pytest.mark.parametrize("most", [0, 3, 1 << 30])
@pytest.mark.parametrize("small", [False, True])
def test_what_a_file_grew_by_is_a_run_of_its_own(
    write_csv: Callable[..., str], store: Store, most: int, small: bool
) -> None:
    path = Path(write_csv(ROWS[:10] if small else ROWS))
    first = count(path, store, most)
    old, rows = path.stat().st_size, 10 if small else 400
    for grown in range(1, 4):
        more = "".join(f"{i},,,More {grown},,P\n" for i in range(5))
        path.write_text(path.read_text() + more)
        run, said = look_up(path, store)
        assert run.id == first.run
        assert not run.finished
        if (
            grown == 1 and first.run not in store.finished()
        ):  # the first goes on with what it was begun with
            assert run._segment.extent.end == old
            assert count(path, store).run == first.run
            run, said = look_up(path, store)
        assert "grown by" in said[-1]
        assert run.summary.tally.rows == rows
        [batch] = run._segment.batches()
        assert [each.content for each in batch.rows() if isinstance(each, Article)] == 5 * [
            f"More {grown}"
        ]
        assert batch.source.first_row == rows  # type: ignore[attr-defined]
        assert count(path, store).run == following(first.run, old)
        old, rows = path.stat().st_size, rows + 5
    run, said = look_up(path, store)
    assert run.finished
    assert run.summary.tally.rows == rows
    assert first_of(run._segment.run) == first.run
    edit(path, 5)
    with pytest.raises(UsageError, match="changed since"):
        look_up(path, store)


@pytest.mark.parametrize("cut", [3, 40])
def test_a_row_that_was_not_all_there_counts_as_it_was(path: Path, store: Store, cut: int) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    count(path, store)
    more = b"".join(b"%d,,,More,,P\n" % i for i in range(5))
    path.write_bytes(whole[:-cut])
    assert look_up(path, store)[0].finished
    path.write_bytes(whole + more)
    run, said = look_up(path, store)
    start = len(whole)
    before = whole.rindex(b"399,2020")
    assert f"bytes {before:,} to {start:,}, was incomplete" in said[-2]
    assert run._segment.extent.start == start
    count(path, store)
    assert look_up(path, store)[0].summary.tally.rows == 405


def test_a_row_that_only_goes_on_is_not_counted_and_that_is_said(path: Path, store: Store) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    count(path, store)
    path.write_bytes(whole)
    run, said = look_up(path, store)
    assert run.finished
    assert f"no row begins after byte {len(whole) - 40:,}" in said[-1]


def test_a_last_line_without_an_end_may_get_one(path: Path, store: Store) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    count(path, store)
    path.write_bytes(whole)
    assert look_up(path, store)[0].finished
    path.write_bytes(whole + b"1,,,More,,P\n")
    run, said = look_up(path, store)
    assert "incomplete" not in "".join(said)
    assert [len(list(each.rows())) for each in run._segment.batches()] == [1]


def test_what_an_earlier_version_counted_goes_on(path: Path, store: Store, tmp_path: Path) -> None:
    """Its entries have no checksums, and its runs' ids are fingerprints."""
    segment = count(path, store, most=3)
    old = open_csv(str(path)).origin.fingerprint()
    db = sqlite3.connect(tmp_path / "store.db")
    for key, note in db.execute("SELECT batch_id, note FROM ledger").fetchall():
        value = json.loads(note)
        for name in ("checksum", "head", "sample", "start", "end"):
            value.pop(name, None)
        new = key.replace(segment.run, old)
        db.execute(
            "UPDATE ledger SET batch_id = ?, note = ? WHERE batch_id = ?",
            (new, json.dumps(value), key),
        )
    db.commit()
    db.close()
    run, said = look_up(path, store)
    assert run.id == old
    assert not run.finished
    assert sum("kept no checksums" in each for each in said) == 1
    assert count(path, store).run == old
    run, said = look_up(path, store)
    assert run.finished
    path.write_bytes(path.read_bytes() + b"1,,,More,,P\n")
    run, said = look_up(path, store)
    assert (run.finished, run.id) == (False, old)
    assert run._segment.run == following(old, path.stat().st_size - len(b"1,,,More,,P\n"))


@pytest.mark.parametrize(("most", "pruned"), [(3, False), (999, False), (999, True)])
def test_a_run_goes_on_with_its_kind_of_checksums(
    path: Path, store: Store, tmp_path: Path, most: int, pruned: bool
) -> None:
    """An earlier version made them by SHA-256, as this one does where it has nothing faster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daskingest.pipeline.segment.FASTEST", Kind.SHA256)
        count(path, store, most)
    if pruned:
        with closing(sqlite3.connect(tmp_path / "store.db")) as db, db:
            db.execute("DELETE FROM ledger WHERE note LIKE '%articles%' AND note NOT LIKE '%file%'")
    before = look_up(path, store)[0]
    assert before.finished == (most == 999)
    if not before.finished:
        count(path, store)
    run = look_up(path, store)[0]
    assert run.finished
    assert run.id == before.id
    ledger = store.ledger(run.id)
    assert (len(ledger) == 2) == pruned
    kept = [each for each in ledger.values() if isinstance(each, Counted | Done)]
    made = {Kind.of(each.checksum) for each in kept}
    assert made == {Kind.SHA256}
    edit(path, 2)
    with pytest.raises(UsageError, match="changed since it was counted"):
        look_up(path, store)


def test_another_run_that_counts_other_rows_under_the_same_ids_is_noticed(
    path: Path, store: Store
) -> None:
    mine, _ = look_up(path, store)
    segment = mine._segment
    [batch, *_] = segment.batches()
    other = Counted(Tally(1, 1), FASTEST + "0" * 32)
    assert batch.conflict(other) is not None
    assert batch.conflict(Counted()) is None
    assert (batch.conflict(Counted(Tally(1, 1), "x" + "0" * 32)) is None) == (
        FASTEST is not Kind.XXH3
    )
    assert replace(batch, checksum="").conflict(other) is None
    with pytest.raises(DaskingestError, match="counted other rows"):
        list(segment.take_up({batch.id: other}).batches())
    theirs = replace(segment.begun, file="elsewhere.csv", sample="0")
    with pytest.raises(DaskingestError, match="begins like"):
        segment.take_up({BatchId.begin(segment.run): theirs})


def test_another_file_where_one_was_counted_is_a_new_one(path: Path, store: Store) -> None:
    first = count(path, store)
    path.write_text("publication,article\n" + "P,today\n" * 5_000)
    run, said = look_up(path, store)
    assert run.id != first.run
    assert not run.finished
    assert "another file" not in "".join(said)
    count(path, store)
    assert look_up(path, store)[0].finished


def test_places_are_told_together() -> None:
    found = Comparison()
    for start, end in ((10, 20), (20, 30), (1_000, 1_010)):
        found.differs(start, end, f"c{start}")
    assert (found.differing, found.first) == ([(10, 30), (1_000, 1_010)], "c10")
    assert places_text(found.differing) == "bytes 10 to 30, 1,000 to 1,010"
    assert places_text([(i, i + 1) for i in range(9)]).endswith("4 to 5 and 4 more places")


def test_a_compressed_file_that_grew_by_a_member(path: Path, store: Store) -> None:
    packed = path.with_name("a.csv.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=1))
    first = count(packed, store)
    assert look_up(packed, store)[0].finished
    packed.write_bytes(packed.read_bytes() + gzip.compress(b"1,,,More,,P\n", mtime=1))
    run, said = look_up(packed, store)
    assert (run.id, run.finished) == (first.run, False)
    assert "has grown" in said[-1]
    count(packed, store)
    assert look_up(packed, store)[0].summary.tally.rows == 401


def test_a_zip_that_an_earlier_version_began_goes_on(path: Path, store: Store) -> None:
    """It knew a zip's first member by the bytes of the zip."""
    packed = path.with_name("a.zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "first.csv")
        archive.writestr("second.csv", path.read_bytes().replace(b"Take 0", b"Take X"))
    member, _ = look_up(f"zip://first.csv::{packed}", store)
    zip_itself = Origin(str(packed), packed.stat().st_size)
    begun = replace(
        member.begun,
        file=str(packed),
        size=zip_itself.size,
        head=zip_itself.head(),
        sample=zip_itself.fingerprint(),
    )
    run = run_id(begun.head)
    entries: dict[BatchId, Entry] = {BatchId.begin(run): begun}
    for part in itertools.islice(member.file.ranges(BATCH), 3):
        entries[BatchId(run, str(part.start))] = Counted(Tally(part.row_count), part.checksum)
    store.commit(PackedCounts(), entries)
    again, said = look_up(f"zip://first.csv::{packed}", store)
    assert (again.id, again.finished) == (run, False)
    assert not [each for each in said if "differ" in each]
    assert look_up(f"zip://second.csv::{packed}", store)[0].id != run


def test_a_member_and_a_copy_of_it_are_one_run(path: Path, store: Store) -> None:
    packed = path.with_name("a.zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "a.csv")
    first = count(path, store, most=2)
    run, said = look_up(packed, store)
    assert (run.id, run.finished) == (first.run, False)
    count(packed, store)
    assert look_up(path, store)[0].finished
    assert look_up(packed, store)[0].finished
    assert not [each for each in said if "differ" in each]


def test_random_edits_never_pass(path: Path, store: Store) -> None:
    count(path, store)
    data, random_ = path.read_bytes(), random.Random(1)
    for _ in range(20):
        at = random_.randrange(data.index(b"\n") + 1, len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        try:
            assert not look_up(path, store)[0].finished
        except UsageError:
            continue


@pytest.mark.parametrize(("model", "same"), [("en_core_web_sm-3.8.0", True), ("en_x-1 0", False)])
def test_a_run_goes_on_with_the_model_that_it_was_begun_with(
    path: Path, store: Store, model: str, same: bool
) -> None:
    run, _ = look_up(path, store)
    begun = replace(run._segment.begun, model=model)
    store.commit(PackedCounts(), {BatchId.begin(run.id): begun})
    if same:
        assert look_up(path, store)[0].id == run.id
        return
    with pytest.raises(UsageError, match="--model 'en_x-1 0'"):
        look_up(path, store)
