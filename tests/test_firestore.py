"""The Firestore store: its layout, its limits, and what becomes of counts when calls fail."""

from __future__ import annotations

import asyncio
import os
import random
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil
import pytest
from emulated import Proxy, RandomFaults, Refused, by_month, content, emulator
from google.cloud import firestore
from program import HTTP, Directly, Program, Server, kill, run, until

from daskingest import packed
from daskingest.counts import Counts
from daskingest.errors import StoreError
from daskingest.ledger import BatchId, Counted, Ledger
from daskingest.packed import CompressedCounts, PackedCounts
from daskingest.pipeline.saver import Saver
from daskingest.pipeline.verdicts import TOO_MANY_WORDS
from daskingest.stores import AlreadyCommitted, open_store
from daskingest.stores import firestore as module
from daskingest.stores.firestore_commit import CommitBuilder
from daskingest.stores.firestore_layout import commit_bytes
from daskingest.tally import Tally

SYLLABLES = ["ba", "del", "for", "gun", "hol", "kri", "lin", "mar", "nor", "pet", "san", "ton"]
ALPHABET = ["a", "b", "u.s.", "`", "\\", "[x]", "*", "é", "\N{GRINNING FACE}", "אב"]


def random_counts(source: random.Random, articles: int = 5) -> PackedCounts:
    counts = Counts()
    for _ in range(articles):
        words = [("".join(source.choices(ALPHABET, k=2)), "ORG") for _ in range(10)]
        words += [(source.choice(ALPHABET), source.choice(["GPE", "A.B`c\\d"]))]
        month = source.choice([None, 557, 558, 600])
        counts.add_article(source.choice(["One", "Two/2", ".."]), words, month)
    return counts.packed()


def merged(batches: list[PackedCounts]) -> tuple[dict[str, int], dict[tuple[str, str, str], int]]:
    found = list(packed.merged(batches).by_publication())
    words = {
        (its.key, word, label): n
        for its, words, _ in found
        for word, label, n in zip(*words[:3], strict=True)
    }
    return {its.key: its.articles for its, _, _ in found}, words


def months_of(batches: list[PackedCounts]) -> dict[tuple[str, str], dict[int, int]]:
    """As `by_month` says them."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    for its, _, months in packed.merged(batches).by_publication():
        if its.months:
            found[its.key, ""] = dict(its.months)
        for word, month, n in zip(*months[:3], strict=True):
            found.setdefault((its.key, word), {})[month] = n
    return found


async def save_all(url: str, batches: list[PackedCounts], at_once: int = 4) -> None:
    """Add batches to a saver, a few at a time so that there are many commits, and drain it."""
    saver = Saver(url, 0, "me")
    for first in range(0, len(batches), at_once):
        some = enumerate(batches[first : first + at_once], first)
        await asyncio.gather(
            *(
                saver.add(BatchId("r", str(i)), CompressedCounts.of(counts), Counted(Tally(rows=i)))
                for i, counts in some
            )
        )
        await saver.drain()
    assert len((await saver.report(0)).committed) == len(batches)


def test_the_layout_is_what_older_readers_expect(firestore_url: str) -> None:
    with open_store(firestore_url, create=True) as store:
        words = [(f"w{i:02}", "ORG") for i in range(25)] + [("w07", "GPE"), ("u.s.", "A.B")]
        for i in range(3):
            counts = Counts()
            counts.add_article("The A/B" if i == 0 else "THE A/B", words)
            store.commit(counts.packed(), {BatchId("r", str(i)): Counted()})
    client = firestore.Client(project=firestore_url.removeprefix("firestore://"))
    [publication] = client.collection("publications").stream()
    assert publication.id == "the a%2Fb"
    assert publication.to_dict() == {"name": "The A/B", "count": 3}
    entities = publication.reference.collection("ent")
    query = entities.order_by("count", direction="DESCENDING").order_by("word").limit(10)
    seen = [each.to_dict() for each in query.stream()]
    while page := [each.to_dict() for each in query.start_after(seen[-1]).stream()]:
        assert len(page) <= 10
        seen += page
    expected = sorted({word for word, _ in words})
    assert sorted(each["word"] for each in seen) == expected  # no word has two documents
    assert seen[0] == {"word": "w07", "count": 6, "labels": {"ORG": 3, "GPE": 3}}
    assert seen[1] == {"word": "u.s.", "count": 3, "labels": {"A.B": 3}}
    assert [each["word"] for each in seen[1:]] == [word for word in expected if word != "w07"]
    client.close()  # type: ignore[no-untyped-call]


@pytest.mark.slow
def test_faults_at_random_change_no_count(firestore_url: str, proxy: Proxy) -> None:
    source = random.Random(1)
    batches = [random_counts(source) for _ in range(300)]
    proxy.fault = faults = RandomFaults(0.2)
    asyncio.run(save_all(firestore_url, batches, at_once=2))
    assert content(firestore_url) == merged(batches)
    assert by_month(firestore_url) == months_of(batches)
    assert set(faults.seen) >= set(RandomFaults.KINDS)


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_a_connection_that_is_cut_for_a_while(
    firestore_url: str, proxy: Proxy, seconds: int
) -> None:
    batches = [random_counts(random.Random(i)) for i in range(60)]

    def cut() -> None:
        until(lambda: proxy.commits > 5)
        proxy.cut()
        time.sleep(seconds)
        proxy.connect()

    thread = threading.Thread(target=cut)
    thread.start()
    asyncio.run(save_all(firestore_url, batches))
    thread.join()
    assert content(firestore_url) == merged(batches)
    assert by_month(firestore_url) == months_of(batches)


def documents(url: str) -> firestore.Client:
    """The database as somebody sees it in a console."""
    return firestore.Client(project=url.removeprefix("firestore://"))


def three(word: str = "a") -> PackedCounts:
    counts = Counts()
    for _ in range(3):
        counts.add_article("The Post", [(word, "ORG")])
    return counts.packed()


def save(url: str, number: int, counts: PackedCounts) -> None:
    """Commit a batch, by a process that has seen nothing of the store."""
    with open_store(url, create=True) as store:
        store.commit(counts, {BatchId("r", str(number)): Counted()})


def replace(document: firestore.DocumentReference, fields: dict[str, object]) -> None:
    document.delete()
    document.set(fields)


@pytest.mark.parametrize("fields", [{}, {"name": 7}, {"name": ""}])
def test_a_publication_without_a_name_gets_it_again(
    firestore_url: str, fields: dict[str, object]
) -> None:
    save(firestore_url, 1, three())
    replace(documents(firestore_url).document("publications/the post"), {**fields, "count": 3})
    with open_store(firestore_url) as store:
        assert [each.name for each in store.publications()] == ["the post"]
    save(firestore_url, 2, three())
    with open_store(firestore_url) as store:
        [found] = store.publications()
    assert (found.name, found.count) == ("The Post", 6)


def test_a_publication_that_was_deleted_meanwhile_is_no_end(firestore_url: str) -> None:
    with open_store(firestore_url, create=True) as store:
        store.commit(three(), {BatchId("r", "1"): Counted()})
        documents(firestore_url).document("publications/the post").delete()
        store.commit(three(), {BatchId("r", "2"): Counted()})  # it has seen the name
    save(firestore_url, 3, three())
    with open_store(firestore_url) as store:
        [found] = store.publications()
    assert (found.name, found.count) == ("The Post", 6)


@pytest.mark.parametrize("count", ["3", None, [3], 2.5, True])
def test_a_count_that_is_no_number_is_named_and_counted_anew(
    firestore_url: str, count: object, caplog: pytest.LogCaptureFixture
) -> None:
    save(firestore_url, 1, three())
    document = documents(firestore_url).document("publications/the post")
    document.update({"count": count})
    with (
        open_store(firestore_url) as store,
        pytest.raises(StoreError, match=f"publications/the post.*{re.escape(repr(count))}"),
    ):
        store.publications()
    save(firestore_url, 2, three())
    assert "the document publications/the post has the count" in caplog.text
    with open_store(firestore_url) as store:
        assert [each.count for each in store.publications()] == [3]


def test_a_word_whose_counts_are_no_numbers_is_counted_anew(firestore_url: str) -> None:
    save(firestore_url, 1, three())
    ents = documents(firestore_url).collection("publications/the post/ent")
    [word] = [each.reference for each in ents.stream()]
    word.update({"count": "three", "labels": "ORG"})
    save(firestore_url, 2, three())
    found = word.get().to_dict()
    assert found is not None
    assert (found["count"], found["labels"]) == (3, {"ORG": 3})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"count": 3, "labels": {"ORG": 3}}, "its `word` is None"),
        ({"word": "a", "labels": {"ORG": 3}}, "its `count` is None"),
        ({"word": "a", "count": "many", "labels": {"ORG": 3}}, "its `count` is 'many'"),
        ({"word": "a", "count": 3, "labels": 3}, "its `labels` are 3"),
        ({"word": "a", "count": 3, "labels": {"ORG": "x"}}, "its `labels.ORG` is 'x'"),
    ],
)
def test_a_word_that_was_changed_is_named(
    firestore_url: str, fields: dict[str, object], said: str
) -> None:
    save(firestore_url, 1, three())
    [document] = documents(firestore_url).document("publications/the post").collection("ent").get()
    replace(document.reference, fields)
    with (
        open_store(firestore_url) as store,
        pytest.raises(StoreError, match=re.escape(document.reference.path)) as told,
    ):
        store.find_words([("the post", "a")])
    assert said in str(told.value)
    if "`count`" not in said and "ORG" not in said:  # Firestore would count from 0 again
        save(firestore_url, 2, three())


def test_a_ledger_entry_that_was_changed_is_named(firestore_url: str) -> None:
    save(firestore_url, 1, three())
    [document] = documents(firestore_url).collection("ledger").get()
    document.reference.update({"note": 7})
    with (
        open_store(firestore_url) as store,
        pytest.raises(StoreError, match=document.reference.path),
    ):
        store.ledger("r")


def test_what_is_too_large_for_one_commit_is_halved(
    firestore_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 8_000)
    batches = [random_counts(random.Random(i), articles=1) for i in range(20)]
    large = Counts()
    large.add_article("Large", [(f"word {i}", "ORG") for i in range(500)])

    async def go() -> None:
        saver = Saver(firestore_url, 3600, "me")
        for i, counts in enumerate([*batches, large.packed()]):
            await saver.add(BatchId("r", str(i)), CompressedCounts.of(counts), Counted())
        await saver.drain()
        report = await saver.report(0)
        assert report.refused == (BatchId("r", "20"),)
        assert len(report.committed) == 20

    asyncio.run(go())
    assert content(firestore_url) == merged(batches)
    assert by_month(firestore_url) == months_of(batches)


@pytest.mark.slow
def test_an_article_too_large_for_a_commit_is_rejected_alone(
    firestore_url: str, tmp_path: Path, write_csv: Callable[..., str]
) -> None:
    source = random.Random(0)
    names = {"".join(source.choices(SYLLABLES, k=5)).title() for _ in range(40_000)}
    large = " ".join(f"Angela {name} met Barack Obama in Berlin." for name in names)
    small = ("P", "Angela Merkel met Barack Obama in Berlin.")
    file = write_csv([small, small, ("P", large), small])
    options = ["run-csv", file, "--store", firestore_url, "--workers", "1"]
    program = Directly(tmp_path, *options, "--batch-bytes", "4000000")
    assert program.wait() == 0, program.output
    assert TOO_MANY_WORDS in (tmp_path / "rejects.jsonl").read_text()
    assert content(firestore_url)[0] == {"p": 3}


def test_requests_are_not_larger_than_they_are_taken_for(firestore_url: str) -> None:
    source = random.Random(3)
    for articles in (1, 20, 200):
        long = Counts()
        long.add_article("é" * 2_000, [("\N{GRINNING FACE}" * 256, "A.B`c\\d")])
        counts = packed.merged([random_counts(source, articles), long.packed()])
        failed = Counted(Tally(failed={1: "x" * 1000}))
        entries: Ledger = {BatchId("r", "1", (0,) * 60): failed, BatchId("r", "2"): Counted()}
        client = firestore.Client(project=firestore_url.removeprefix("firestore://"))
        batch = CommitBuilder().build(client, counts, entries)
        sizes = [each._pb.ByteSize() + 6 for each in batch._write_pbs]
        root = len(f"projects/{client.project}/databases/(default)/documents/")
        assert sum(sizes) <= commit_bytes(counts, entries, root) <= 1.45 * sum(sizes)
        client.close()  # type: ignore[no-untyped-call]


def test_troubles_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, firestore_url: str, sample: Path
) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}")
    environment = {"GOOGLE_APPLICATION_CREDENTIALS": str(key)}
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST")
    code, output = run(tmp_path, "publications", "--store", "firestore://x", **environment)
    assert code == 1
    assert "gcloud auth application-default login" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "roles/datastore.user"),
        (grpc.StatusCode.NOT_FOUND, "gcloud firestore databases create --project test-"),
        pytest.param(grpc.StatusCode.UNAVAILABLE, "as the test wants it", marks=pytest.mark.slow),
    ],
)
def test_what_firestore_refuses_is_said_with_advice(
    firestore_url: str, proxy: Proxy, code: grpc.StatusCode, advice: str
) -> None:
    def refuse(commit: Callable[[], bytes]) -> bytes:
        raise Refused(code)

    proxy.fault = refuse
    with pytest.raises(StoreError, match=f"cannot write to firestore://test-.*{advice}"):
        open_store(firestore_url, create=True)


@pytest.mark.slow
def test_an_emulator_that_can_do_less(
    tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with emulator("bare.mjs") as address:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        batches = [random_counts(random.Random(i)) for i in range(10)]
        with open_store("firestore://bare", create=True) as store:
            for i, counts in enumerate(batches):
                store.commit(counts, {BatchId("r", str(i)): Counted()})
            with pytest.raises(AlreadyCommitted):
                store.commit(batches[0], {BatchId("r", i): Counted() for i in ("10", "3")})
        assert content("firestore://bare") == merged(batches)
        options = ["run-csv", str(sample), "--workers", "1", "--batch-bytes", "8000"]
        for url in ("firestore://sample", f"sqlite:///{tmp_path}/s.db"):
            code, output = run(tmp_path, *options, "--flush-interval", "0", "--store", url)
            assert code == 0, output
        assert content("firestore://sample") == content(f"sqlite:///{tmp_path}/s.db")


def saver_of(program: Program, address: str) -> psutil.Process | None:
    port = int(address.rpartition(":")[2])
    for each in program.workers():
        try:
            connections = each.net_connections()
        except psutil.Error:
            continue
        if any(c.raddr and c.raddr.port == port for c in connections):
            return each
    return None


@pytest.mark.parametrize(
    ("times", "file", "batch_bytes"),
    [
        (2, "sample", 2_000),
        pytest.param(20, "real_articles", 60_000, marks=pytest.mark.slow),
    ],
)
def test_savers_killed_while_they_commit(
    firestore_url: str,
    proxy: Proxy,
    tmp_path: Path,
    times: int,
    file: str,
    batch_bytes: int,
    request: pytest.FixtureRequest,
) -> None:
    """The saver dies when the emulator has the commit, or before; counts equal SQLite's."""
    sqlite = f"sqlite:///{tmp_path}/s.db"
    articles = str(request.getfixturevalue(file))
    options = ["run-csv", articles, "--workers", "1", "--batch-bytes", str(batch_bytes)]
    code, output = run(tmp_path, *options, "--store", sqlite)
    assert code == 0, output
    killed = 0
    lock = threading.Lock()
    program: Program | None = None

    def fault(commit: Callable[[], bytes]) -> bytes:
        nonlocal killed
        with lock:
            saver = saver_of(program, proxy.address) if program and proxy.commits > 3 else None
            if saver is None or killed >= times or proxy.commits % 2:
                return commit()
            killed += 1
            if killed % 2:
                commit()
            kill(saver)
            return commit() if killed % 3 == 0 else b""

    proxy.fault = fault
    program = Directly(tmp_path, *options, "--store", firestore_url, "--flush-interval", "0")
    until(lambda: program.process.poll() is not None, patience=30 * (times + 4))
    assert program.wait() == 0, program.output
    assert killed == times
    assert content(firestore_url) == content(sqlite)


@pytest.mark.slow
def test_what_an_earlier_version_began_goes_on_directly(
    firestore_url: str, tmp_path: Path, real_articles: Path
) -> None:
    options = ["run-csv", str(real_articles), "--workers", "2", "--batch-bytes", "100000"]
    code, output = run(tmp_path, *options, "--store", f"sqlite:///{tmp_path}/s.db")
    assert code == 0, output
    options += ["--store", firestore_url, "--flush-interval", "0.2"]
    program = Directly(tmp_path, *options)

    def begun() -> bool:
        with open_store(firestore_url) as store:
            return bool(store.publications())

    until(begun)
    os.killpg(program.process.pid, 9)
    program.process.wait()
    code, output = run(tmp_path, *options)
    assert code == 0, output
    assert "expecting about" in output
    assert "per 1,000 articles" in output
    assert content(firestore_url) == content(f"sqlite:///{tmp_path}/s.db")
    code, output = run(tmp_path, "top", "18F", "--store", firestore_url, "--label", "org")
    assert code == 0, output


@pytest.mark.slow
def test_the_service_goes_on_while_firestore_is_away(
    firestore_url: str, proxy: Proxy, tmp_path: Path
) -> None:
    server = Server(tmp_path, "--store", firestore_url, "--flush-interval", "0.5")
    try:
        server.wait_until_ready()
        article = {"publication": "The A/B", "content": "Angela Merkel met Barack Obama in Berlin."}
        posted = 0

        def post() -> None:
            nonlocal posted
            HTTP.post(server.url + "/articles", json=article, timeout=30).raise_for_status()
            posted += 1

        for _ in range(5):
            post()
        server.wait_until_saved()
        proxy.cut()
        for _ in range(20):
            post()
            time.sleep(0.1)
        assert server.status()["spool"]["articles"] == 20
        proxy.connect()
        server.wait_until_saved()
        [found] = HTTP.get(server.url + "/publications", timeout=30).json()
        assert (found["name"], found["count"]) == ("The A/B", posted)
        path = server.url + "/publications/the%20a%2Fb/entities?label=GPE"
        [berlin] = HTTP.get(path, timeout=30).json()["entities"]
        assert (berlin["word"], berlin["count"]) == ("berlin", posted)
        with open_store(firestore_url) as store:  # what is counted is known, one way or the other
            run = _spool_id(tmp_path)
            hold = store.hold(run)
            assert store.ledger(run) or (hold and hold.watermark)
        assert server.stop() == 0, server.output
    finally:
        server.kill()


def _spool_id(folder: Path) -> str:
    db = sqlite3.connect(next((folder / "daskingest-data").glob("*.db")))
    [(found,)] = db.execute("SELECT id FROM spool").fetchall()
    db.close()
    return str(found)


@pytest.mark.slow
def test_pruning_keeps_files_counted(
    firestore_url: str, tmp_path: Path, write_csv: Callable[..., str]
) -> None:
    good, bad = ("P", "Angela Merkel met Barack Obama in Berlin."), ("P", "")
    file = write_csv([good] * 40 + [bad] * 4)
    options = ["run-csv", file, "--store", firestore_url, "--workers", "1", "--batch-bytes", "500"]
    assert Directly(tmp_path, *options).wait() == 0
    before = content(firestore_url)
    prune = ["prune", "--store", firestore_url]
    assert "0 entries removed" in run(tmp_path, *prune)[1]  # done only now
    code, output = run(tmp_path, *prune, "--older-than", "0")
    assert code == 0, output
    assert re.search(r"\b(1 entry|[2-9] entries) removed", output)
    code, output = run(tmp_path, *options)
    assert code == 0, output
    assert "counted already" in output
    assert content(firestore_url) == before
