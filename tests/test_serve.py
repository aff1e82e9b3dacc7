"""The service as a process: what it acknowledges is counted once, whatever is killed."""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from models import make_deadly_model, python_path
from program import HTTP, Server, content, kill, ledger, reference, run, until

from daskingest.articles import Article
from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted, Split
from daskingest.service.micro_batches import Limits
from daskingest.service.spool import Spool
from daskingest.service.spool_file import UNREADABLE
from daskingest.stores import open_store
from daskingest.tally import Tally

Pairs = list[tuple[str, str]]
TEXT = "Angela Merkel met Barack Obama in Berlin, take {}."


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts services in the test's folder, and kills what is left of them."""
    started: list[Server] = []

    def start(*arguments: str, **options: Any) -> Server:
        server = Server(tmp_path, *arguments, **options)
        started.append(server)
        server.wait_until_ready()
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


def real_pairs(path: Path, number: int, longest: int) -> Pairs:
    """The beginnings of real articles, each with its publication."""
    csv.field_size_limit(1 << 30)
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["article"].strip()]
    return [
        (row["publication"], row["article"][:longest])
        for row in (rows[i % len(rows)] for i in range(number))
    ]


async def send_all(server: Server, pairs: Pairs, clients: int, trouble: Any = None) -> None:
    """Send each article until it is acknowledged, under a key, so that it can be sent again."""
    queue = list(enumerate(pairs))
    sent = 0

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal sent
        while queue:
            number, (publication, text) = queue.pop()
            article = {"content": text, "publication": publication, "id": str(number)}
            while True:
                with suppress(httpx.HTTPError):
                    headers = {"Idempotency-Key": f"k{number}"}
                    answer = await http.post("/articles", json=article, headers=headers)
                    if answer.status_code == 202:
                        break
                    assert answer.status_code == 503, answer.text
                await asyncio.sleep(0.4)  # many wait so, and connecting takes time
            sent += 1

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=server.url, timeout=30, limits=limits) as http:
        work = asyncio.gather(*(client(http) for _ in range(clients)))
        if trouble is not None:
            await trouble(lambda: sent)
        await work


async def reaches(sent: Callable[[], int], number: int) -> None:
    while sent() < number:
        await asyncio.sleep(0.01)


def check_kills(
    serve: Callable[..., Server],
    pairs: Pairs,
    kills: int,
    wanted: Any,
    end: str,
    savers: tuple[str, ...] = ("1",),
) -> None:
    """It is started with each of these numbers of savers in turn."""
    starts = itertools.cycle(savers)
    server = serve("--savers", next(starts))

    async def trouble(sent: Callable[[], int]) -> None:
        for turn in range(kills):
            await reaches(sent, len(pairs) * (turn + 1) // (kills + 2))
            if end == "kill":
                await asyncio.to_thread(server.kill)
            else:
                assert await asyncio.to_thread(server.stop) == 0, server.output
            await asyncio.to_thread(serve, "--savers", next(starts), port=server.port)

    asyncio.run(send_all(server, pairs, 64, trouble))
    server.wait_until_saved()
    assert content(server.store) == wanted
    until(lambda: ledger(server.store) <= 1)


@pytest.mark.parametrize("end", ["kill", pytest.param("terminate", marks=pytest.mark.slow)])
def test_killed_and_restarted_it_counts_what_it_acknowledged_once(
    serve: Callable[..., Server], real_articles: Path, write_csv: Callable[..., str], end: str
) -> None:
    pairs = real_pairs(real_articles, 638, 300)
    wanted = reference(Path(write_csv(pairs)))
    check_kills(serve, pairs, 2, wanted, end)


@pytest.mark.slow
def test_killed_and_restarted_with_another_number_of_savers(
    serve: Callable[..., Server], write_csv: Callable[..., str]
) -> None:
    """The spool goes on with the shards that it was begun with."""
    pairs = [(f"P{i % 9}", TEXT.format(f"{i} ")) for i in range(600)]
    wanted = reference(Path(write_csv(pairs)))
    check_kills(serve, pairs, 2, wanted, "kill", ("3", "1", "2"))


@pytest.mark.slow
@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_ten_thousand_articles_and_five_kills(
    serve: Callable[..., Server], many_real_articles: Path, write_csv: Callable[..., str], end: str
) -> None:
    pairs = 4 * real_pairs(many_real_articles, 2_500, 300)  # spaCy has to read each but once
    wanted = reference(Path(write_csv(pairs)))
    check_kills(serve, pairs, 5, wanted, end)


@pytest.mark.slow
def test_workers_and_savers_are_killed_under_load(
    serve: Callable[..., Server], real_articles: Path, write_csv: Callable[..., str]
) -> None:
    pairs = real_pairs(real_articles, 638, 1000) * 2
    wanted = reference(Path(write_csv(pairs)))
    server = serve("--workers", "2", "--flush-interval", "0.3", "--batch-bytes", "20000")

    def victims(saver: bool) -> list[psutil.Process]:
        mine = server.saver()
        return [each for each in server.workers() if (each == mine) is saver]

    async def trouble(sent: Callable[[], int]) -> None:
        for turn in range(6):
            await reaches(sent, len(pairs) * (turn + 1) // 8)
            found = await asyncio.to_thread(victims, turn % 2 == 1)
            for victim in found[:1]:
                kill(victim)

    asyncio.run(send_all(server, pairs, 16, trouble))
    assert server.answers("/healthz")
    server.wait_until_saved()
    assert content(server.store) == wanted
    restarts = [each["restarts"] for each in server.status()["workers"].values()]
    assert sum(restarts) >= 3
    assert server.stop() == 0


def test_the_store_is_locked_for_a_while(serve: Callable[..., Server]) -> None:
    server = serve("--max-spool-bytes", "100000", "--flush-interval", "0.2")
    db = sqlite3.connect(server.store, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    article = {"content": TEXT.format("one ") * 20, "publication": "P"}
    accepted = 0
    with httpx.Client(base_url=server.url) as http:
        while (answer := http.post("/articles", json=article)).status_code == 202:
            accepted += 1
            assert accepted < 1000
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "spool is full" in answer.json()["error"]
        assert accepted > 50
        assert http.get("/publications").json() == []
    db.execute("ROLLBACK")
    db.close()
    server.wait_until_saved()
    assert content(server.store)[0] == {"p": accepted}
    assert HTTP.post(server.url + "/articles", json=article).status_code == 202


@pytest.mark.slow
def test_what_is_left_at_the_end_is_taken_up_at_the_next_start(
    serve: Callable[..., Server],
) -> None:
    server = serve("--drain-timeout", "0", "--flush-interval", "60")
    lines = "\n".join(
        json.dumps({"content": TEXT.format(i) * 50, "publication": "P"}) for i in range(2000)
    )
    headers = {"Content-Type": "application/x-ndjson"}
    answer = HTTP.post(server.url + "/articles", content=lines, headers=headers, timeout=60)
    assert answer.json() == {"accepted": 2000, "rejected": 0, "errors": []}
    assert server.stop() == 0, server.output
    server.wait_for_the_family_s_end()
    assert "stopping before everything was counted" in server.output
    again = serve("--flush-interval", "1")
    again.wait_until_saved()
    assert content(again.store)[0] == {"p": 2000}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left(serve: Callable[..., Server], number: signal.Signals) -> None:
    server = serve("--flush-interval", "60")
    assert len(server.workers()) == 2
    HTTP.post(server.url + "/articles", json=[{"content": TEXT, "publication": "P"}] * 10)
    if number == signal.SIGINT:
        server.interrupt()
    else:
        server.process.send_signal(number)
    code = server.wait()
    server.wait_for_the_family_s_end()
    if number != signal.SIGKILL:
        assert code == 0, server.output
        assert content(server.store)[0] == {"p": 10}  # drained, long before the flush was due


@pytest.mark.slow
def test_poison_is_put_aside_and_its_neighbours_are_counted(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    model = make_deadly_model(tmp_path)
    server = serve("--model", model, "--flush-interval", "0.2", PYTHONPATH=python_path(tmp_path))
    articles = [{"content": TEXT.format(i), "publication": "P", "id": i} for i in range(20)]
    articles[3]["content"] = "This is POISON."
    articles[7]["content"] = "A MISTAKE, but not deadly."
    assert HTTP.post(server.url + "/articles", json=articles).status_code == 202
    server.wait_until_saved()
    assert content(server.store)[0] == {"p": 18}
    assert server.status()["rejected"] == {"killed its worker": 1, "extraction failed": 1}
    lines = (tmp_path / "daskingest-data" / "rejects.jsonl").read_text().splitlines()
    found = {entry["id"]: entry for entry in map(json.loads, lines)}
    assert found["3"]["reason"] == "killed its worker"
    assert found["3"]["content"] == "This is POISON."
    assert found["7"]["reason"] == "extraction failed"
    until(lambda: ledger(server.store) <= 1)


def test_what_was_counted_in_parts_is_forgotten_after_a_restart(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """The service was killed when its store had the parts of a split batch."""

    async def prepare() -> BatchId:
        spool = Spool(tmp_path / "daskingest-data")
        await spool.add([Article(TEXT.format(i), "P") for i in range(2)])
        [batch] = await spool.release(1, 1, Limits(10, 10**6, 1.0), False)
        spool.close()
        return BatchId(spool.id, str(batch.number))

    batch, part = asyncio.run(prepare()), Counted(Tally(rows=1, articles=1))
    counts = Counts()
    for _ in range(2):
        counts.add_article("P", [])
    with open_store(f"sqlite:///{tmp_path / 's.db'}", create=True) as store:
        store.commit(counts.packed(), {batch: Split(1), batch.part(0): part, batch.part(1): part})
    server = serve("--flush-interval", "0.2")
    article = {"content": TEXT, "publication": "P"}
    assert HTTP.post(server.url + "/articles", json=article).status_code == 202
    server.wait_until_saved()
    until(lambda: ledger(server.store) == 0)
    assert server.stop() == 0, server.output
    assert "work left" not in server.output
    assert content(server.store)[0] == {"p": 3}


def test_a_damaged_spool_costs_its_own_articles_alone(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """One of a batch is unreadable, one that waits, and which ones another batch has."""
    folder = tmp_path / "daskingest-data"

    async def prepare() -> None:
        with closing(Spool(folder)) as spool:
            for i in range(8):
                await spool.add([Article(TEXT.format(i), "P", str(i))])
            await spool.release(2, 2, Limits(3, 10**6, 1.0), False)

    asyncio.run(prepare())
    with closing(sqlite3.connect(folder / "spool.db")) as db, db:
        db.execute("UPDATE articles SET packed = x'00' WHERE first IN (2, 7)")
        db.execute("UPDATE batches SET ranges = '?' WHERE number = 2")
    server = serve("--flush-interval", "0.2")
    server.wait_until_saved()
    assert content(server.store)[0] == {"p": 3}
    status = server.status()
    assert status["spool"]["damaged"] == 5
    assert status["rejected"] == {UNREADABLE: 4}
    for said in ("articles 2 to 2, in batch 1,", "articles 7 to 7", "batch 2 of 3 articles"):
        assert f"the spool is damaged: {said}" in server.output
    article = {"content": TEXT, "publication": "P"}
    assert HTTP.post(server.url + "/articles", json=article).status_code == 202
    until(lambda: content(server.store)[0] == {"p": 4})
    until(lambda: ledger(server.store) <= 1)  # it does not keep what comes after those


def test_an_article_is_soon_to_be_seen(serve: Callable[..., Server]) -> None:
    server = serve("--flush-interval", "1")
    HTTP.post(server.url + "/articles", json={"content": TEXT, "publication": "The Post"})
    until(lambda: bool(HTTP.get(server.url + "/publications").json()), 3)
    [found] = HTTP.get(server.url + "/publications").json()
    assert (found["name"], found["count"]) == ("The Post", 1)


def test_older_clients_work(serve: Callable[..., Server]) -> None:
    server = serve("--flush-interval", "0.1", DASKINGEST_API_KEY="old,new")
    words = " and ".join(
        f"Angela {name}" for name in ["Abel", "Brandt", "Cohen", "Dietrich", "Ernst"]
    )
    with httpx.Client(base_url=server.url) as http:
        article = {"content": f"{words} met Barack Obama.", "publication": "BBC News"}
        assert http.post("/post/enqueue", json=article).status_code == 401
        for key in ("old", "new"):
            answer = http.post("/post/enqueue", json=article, headers={"access_token": key})
            assert answer.status_code == 201
        server.wait_until_saved()
        [found] = http.get("/publications").json()
        picture = f"{server.url}/cloud.svg?name=bbc+news"
        assert found == {"name": "BBC News", "count": 2, "img_uri": picture}
        assert http.get(picture).headers["content-type"] == "image/svg+xml"
        behind = {
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Prefix": "/news",
            "Host": "example.com",
        }
        [found] = http.get("/publications", headers=behind).json()
        assert found["img_uri"] == "https://example.com/news/cloud.svg?name=bbc+news"
        store = sqlite3.connect(server.store)
        store.execute(
            "INSERT INTO words (publication, word, count) "
            "SELECT 1, 'w' || value, 1 FROM json_each('[1,2,3,4,5,6,7,8]')"
        )
        store.commit()
        store.close()
        first = http.get("/frequencies/BBC News?word=&count=").json()
        assert len(first) == 10
        assert first[0]["count"] == 2
        assert set(first[0]) == {"word", "count"}
        rest = http.get("/frequencies/BBC News", params=first[-1]).json()
        seen = [(-each["count"], each["word"]) for each in first + rest]
        assert seen == sorted(set(seen))
        assert len(seen) == 14


def test_without_a_key_it_listens_here_only(tmp_path: Path) -> None:
    code, output = run(tmp_path, "serve", "--host", "0.0.0.0")
    assert code == 2
    assert "DASKINGEST_API_KEY" in output
    assert "Traceback" not in output


def test_one_line_says_what_keeps_it_from_starting(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve()
    code, output = run(tmp_path, "serve", "--port", str(server.port))
    assert code == 2
    assert f"port {server.port}: Address already in use" in output
    code, output = run(tmp_path, "serve", "--port", "0", "--workers", "1")
    assert code == 2
    assert "another daskingest service uses" in output
    assert "Traceback" not in output
    for options in (["--data-dir", "/proc/x"], ["--store", "mysql://x"], ["--model", "none"]):
        code, output = run(tmp_path, "serve", "--port", "0", "--workers", "1", *options)
        assert code == 2, output
        assert "Traceback" not in output
