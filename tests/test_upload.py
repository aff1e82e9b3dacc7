"""Uploads: each article counts once, whatever is killed; what is not taken is said, and why."""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
import math
import resource
import signal
import ssl
import subprocess
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from program import PATIENCE, Program, Server, content, free_port, reference, run, until
from stub import Answered, Request, Stub, taken

from daskingest.articles import Reject
from daskingest.cli.commands.upload import warnings
from daskingest.errors import UsageError
from daskingest.pipeline.rejects import RejectsFile, RejectsUnwritten
from daskingest.progress import Progress
from daskingest.settings import UploadSettings
from daskingest.sources.csvfile import open_csv
from daskingest.upload.answers import (
    Accepted,
    Rejected,
    RetryLater,
    UploadError,
    judge,
    retry_after,
)
from daskingest.upload.latency import SHARES, Latencies
from daskingest.upload.measured import Measured
from daskingest.upload.parcels import Parcel, length_of, parcels
from daskingest.upload.report import UploadReport
from daskingest.upload.run import Upload
from daskingest.upload.schedule import Schedule, backoff
from daskingest.upload.state import UploadState

Pairs = list[tuple[str, str]]
WriteCsv = Callable[..., str]
TEXT = "Angela Merkel met Barack Obama in Berlin, take {}."
KEY = "secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with keys, for tests that count in publications of their own."""
    folder = tmp_path_factory.mktemp("service")
    options = ["--flush-interval", "0.2", "--max-article-bytes", "20000"]
    server = Server(folder, *options, DASKINGEST_API_KEY=f"{KEY},other")
    server.wait_until_ready()
    yield server
    server.kill()


def pairs(publication: str, number: int) -> Pairs:
    return [(publication, TEXT.format(i)) for i in range(number)]


def upload(folder: Path, file: str, url: str, *options: str, **environment: str) -> Program:
    """An upload that has begun, in a folder of its own."""
    folder = folder / "upload"
    folder.mkdir(exist_ok=True)
    return Program(folder, "upload", file, "--url", url, *options, **environment)


def finish(program: Program, code: int = 0) -> str:
    """What it printed, to its end."""
    assert program.wait() == code, program.output
    assert "Traceback" not in program.output
    return program.output


def report_of(output: str) -> dict[str, Any]:
    """The report among other lines."""
    value: dict[str, Any] = json.loads(output[output.index("{\n") : output.rindex("}") + 1])
    return value


def state_of(program: Program) -> dict[str, Any]:
    [path] = program.folder.glob("*.upload.json")
    value: dict[str, Any] = json.loads(path.read_text())
    return value


def rows_done(program: Program) -> int:
    """How many rows are done, according to its state."""
    found = list(program.folder.glob("*.upload.json"))
    return int(state_of(program)["tally"]["rows"]) if found else 0


def reaches(program: Program, rows: int) -> None:
    """Wait until it has got that far, before its end."""
    until(lambda: rows_done(program) >= rows or program.process.poll() is not None)
    assert program.process.poll() is None, program.output


def rejects_in(program: Program) -> list[dict[str, Any]]:
    lines = (program.folder / "rejects.jsonl").read_text().splitlines()
    return sorted(map(json.loads, lines), key=lambda entry: int(entry["row"]))


# With the service.


def check_kills(folder: Path, file: str, articles: int, kills: int, *options: str) -> None:
    """Upload a file while the service is killed; the counts are those of spaCy."""
    server = Server(folder, "--flush-interval", "0.3")
    server.wait_until_ready()
    program = upload(folder, file, server.url, "--json", *options)
    for turn in range(kills):
        reaches(program, articles * (turn + 1) // (kills + 2))
        server.kill()
        server = Server(folder, "--flush-interval", "0.3", port=server.port)
        server.wait_until_ready()
    report = report_of(finish(program))
    server.wait_until_saved()
    found = content(server.store)
    server.kill()
    assert found == reference(Path(file))
    assert report["accepted"] == articles == sum(found[0].values())
    assert report["requests"] > math.ceil(articles / int(options[1]))
    assert report["troubles"].keys() <= {
        "no connection",
        "the connection was lost",
        "answered 503",
    }


def beginnings(path: Path, number: int, longest: int) -> Pairs:
    csv.field_size_limit(1 << 30)
    with path.open(newline="", encoding="utf-8") as file:
        rows = itertools.islice(csv.DictReader(file), number)
        return [(row["publication"], row["article"][:longest] or "None.") for row in rows]


@pytest.mark.slow
def test_a_service_that_is_killed_and_started_again_costs_nothing(
    tmp_path: Path, write_csv: WriteCsv, real_articles: Path
) -> None:
    file = write_csv(beginnings(real_articles, 600, 300))
    check_kills(tmp_path, file, 600, 1, "--batch", "4", "--rate", "150")


@pytest.mark.slow
def test_five_thousand_articles_and_five_kills(
    tmp_path: Path, write_csv: WriteCsv, many_real_articles: Path
) -> None:
    file = write_csv(5 * beginnings(many_real_articles, 1000, 300))
    check_kills(tmp_path, file, 5000, 5, "--batch", "1", "--rate", "250")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_resumes(
    server: Server, tmp_path: Path, write_csv: WriteCsv, number: signal.Signals
) -> None:
    name = f"resumed after {number.name}".lower()
    file = write_csv([*pairs(name, 1000), ("", "no publication"), (name, "")])
    options = ["--batch", "3", "--json"]
    environment = {"DASKINGEST_API_KEY": f"{KEY},other"}
    for _ in range(2):
        program = upload(tmp_path, file, server.url, *options, "--rate", "150", **environment)
        options = ["--batch", "3", "--resume", "--json"]
        reaches(program, rows_done(program) + 60)  # the one before it may have come further
        program.process.send_signal(number)
        code = program.wait()
        assert code == (-9 if number == signal.SIGKILL else 130), program.output
        if number != signal.SIGKILL:
            report = report_of(program.output)
            assert report["outcome"] == "interrupted"
            assert report["accepted"] == state_of(program)["tally"]["accepted"] < 1000
            assert state_of(program)["unsure"] is None
    program = upload(tmp_path, file, server.url, *options, **environment)
    report = report_of(finish(program))
    assert (report["rows"], report["articles"], report["accepted"]) == (1002, 1000, 1000)
    assert report["rejected"] == {"no publication": 1, "no content": 1}
    assert [each["row"] for each in rejects_in(program)] == [1001, 1002]
    server.wait_until_saved()
    assert content(server.store)[0][name] == 1000
    again = report_of(finish(upload(tmp_path, file, server.url, *options, **environment)))
    assert (again["outcome"], again["accepted"], again["requests"]) == ("sent already", 1000, 0)
    server.wait_until_saved()
    assert content(server.store)[0][name] == 1000


def test_what_the_service_has_already_counts_once(
    server: Server, tmp_path: Path, write_csv: WriteCsv
) -> None:
    file = write_csv(pairs("replayed", 40))
    options = ["--batch", "1", "--api-key", KEY, "--json"]
    program = upload(tmp_path, file, server.url, *options)
    finish(program)
    [path] = program.folder.glob("*.upload.json")
    began = {**state_of(program), "complete": False, "done": 10}  # as if killed long before
    began["tally"] = {"rows": 10, "articles": 10, "accepted": 10, "missed": 0, "rejected": {}}
    path.write_text(json.dumps({**began, "unsure": 1.0}))
    output = finish(upload(tmp_path, file, server.url, *options, "--resume"))
    assert "may count twice" in output  # a day later
    report = report_of(output)
    assert (report["accepted"], report["accepted_now"], report["replayed"]) == (40, 30, 30)
    finish(upload(tmp_path, file, server.url, *options, "--repeat", "2"))
    server.wait_until_saved()
    assert content(server.store)[0]["replayed"] == 120


@pytest.mark.slow
def test_all_files_of_an_archive(
    server: Server, write_csv: Callable[..., str], tmp_path: Path
) -> None:
    archive = tmp_path / "news.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for i in range(2):
            out.write(write_csv(pairs(f"zip {i}", 20 + i), f"{i}.csv"), f"d/{i}.csv")
        out.writestr("README.md", "# News")
    program = upload(tmp_path, str(archive), server.url, "--json", DASKINGEST_API_KEY=KEY)
    output = finish(program)
    reports = json.loads(output[output.index("[\n") : output.rindex("]") + 1])
    assert [each["accepted"] for each in reports] == [20, 21]
    assert [each["file"] for each in reports] == [f"zip://d/{i}.csv::{archive}" for i in range(2)]
    states = sorted(each.name for each in program.folder.glob("*.upload.json"))
    assert states == [f"news.zip-d-{i}.csv.upload.json" for i in range(2)]
    program = upload(tmp_path, str(archive), server.url, "--resume", DASKINGEST_API_KEY=KEY)
    assert finish(program).count("sent already") == 2
    output = finish(upload(tmp_path, str(archive), server.url, "--state", "x"), 2)
    assert "--state names a file for one upload" in output


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_rejects_are_listed_with_their_places_and_reasons(
    server: Server, tmp_path: Path, write_csv: WriteCsv, batch: int
) -> None:
    name = f"rejects {batch}"
    rows = pairs(name, 9)
    rows[2] = (name, "")
    rows[4] = (name, "a NUL \0 in it")
    rows[7] = (name, "too long " * 5000)
    file = write_csv(rows)
    program = upload(
        tmp_path, file, server.url, "--batch", str(batch), "--strict", DASKINGEST_API_KEY=KEY
    )
    output = finish(program, code=3)
    assert "9 = 7 articles + 2 rejects" in output
    assert "accepted  6 articles" in output
    for reason in ("no content", "content holds a NUL character", "article too large"):
        assert f"rejected  1 {reason}" in output
    found = rejects_in(program)
    assert [(each["row"], each["reason"]) for each in found] == [
        (3, "no content"),
        (5, "content holds a NUL character"),
        (8, "article too large"),
    ]
    data = Path(file).read_bytes()
    assert all(data[each["offset"] :].startswith(b"%d," % (each["row"] - 1)) for each in found)
    server.wait_until_saved()
    assert content(server.store)[0][name] == 6


def test_the_older_clients_call(server: Server, tmp_path: Path, write_csv: WriteCsv) -> None:
    file = write_csv(pairs("legacy", 20))
    options = ["--legacy", "--repeat", "2", "--count", "15"]
    output = finish(upload(tmp_path, file, server.url, *options, DASKINGEST_API_KEY=KEY))
    assert "accepted  30 articles" in output
    server.wait_until_saved()
    assert content(server.store)[0]["legacy"] == 30


def test_a_wrong_key_ends_in_one_line(server: Server, tmp_path: Path, write_csv: WriteCsv) -> None:
    file = write_csv(pairs("unknown", 500))
    for environment in ({}, {"DASKINGEST_API_KEY": "wrong"}):
        program = upload(tmp_path, file, server.url, "--batch", "5", **environment)
        [error] = [each for each in finish(program, 1).splitlines() if each.startswith("error")]
        assert "answered 401" in error
        assert "DASKINGEST_API_KEY" in error


# With servers that answer differently.


def test_ctrl_c_waits_for_answers_and_a_second_one_does_not(
    tmp_path: Path, write_csv: WriteCsv
) -> None:
    ready = threading.Event()

    def answer(request: Request) -> Answered:
        ready.wait(PATIENCE)
        return taken(request)

    file = write_csv(pairs("p", 30))
    with Stub(answer) as stub:
        begin = ["--batch", "3", "--concurrency", "2"]
        options = [*begin, "--resume"]
        for interruptions in (2, 1):
            seen = len(stub.requests)
            now = begin if interruptions == 2 else options
            program = upload(tmp_path, file, stub.url, *now)
            until(lambda: len(stub.requests) == seen + 2)
            program.process.send_signal(signal.SIGINT)
            until(lambda: "waiting for outstanding answers" in program.output)
            if interruptions == 2:
                program.process.send_signal(signal.SIGINT)
                assert "--resume continues" in finish(program, 130)
                assert state_of(program)["tally"]["accepted"] == 0
        ready.set()
        assert "accepted  6 articles" in finish(program, 130)
        assert len(stub.requests) == 4
        assert "accepted  30 articles" in finish(upload(tmp_path, file, stub.url, *options))
    assert len({request.key for request in stub.requests}) == 10


def test_ctrl_c_ends_the_waiting_for_a_service(tmp_path: Path, write_csv: WriteCsv) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    program = upload(tmp_path, write_csv(pairs("p", 3)), url)
    until(lambda: "waiting: " in program.output)
    program.process.send_signal(signal.SIGINT)
    assert "accepted  0 articles" in finish(program, 130)


def test_a_redirect_is_named_and_not_followed(tmp_path: Path, write_csv: WriteCsv) -> None:
    with Stub(lambda request: (307, {"Location": "https://other.example/x"}, b"")) as stub:
        output = finish(upload(tmp_path, write_csv(pairs("p", 3)), stub.url), 1)
    assert "https://other.example/x" in output
    assert "--url" in output
    assert len(stub.requests) == 1


def test_nothing_is_listening(tmp_path: Path, write_csv: WriteCsv) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    program = upload(tmp_path, write_csv(pairs("p", 3)), url, "--patience", "0.5")
    output = finish(program, 1)
    assert f"error: {url}: no connection" in output
    assert "after --patience 0.5" in output
    assert state_of(program)["tally"]["rows"] == 0
    with Stub() as stub:  # at another address it is another service
        again = finish(upload(tmp_path, write_csv(pairs("p", 3)), stub.url, "--resume"), 2)
    assert "use the same --url" in again


def test_retry_after_is_honoured(tmp_path: Path, write_csv: WriteCsv) -> None:
    until_then: list[float] = []

    def answer(request: Request) -> Answered:
        now = time.monotonic()
        until_then[:] = until_then or [now + 1]
        busy = 503, {"Retry-After": "1"}, b'{"error": "the spool is\\u001b full"}'
        return busy if now < until_then[0] else taken(request)

    file = write_csv(pairs("p", 6))
    with Stub(answer) as stub:
        options = ["--batch", "2", "--concurrency", "1", "--json"]
        report = report_of(finish(upload(tmp_path, file, stub.url, *options)))
    assert report["troubles"] == {"answered 503": 1}  # and no more while it had to wait
    assert report["accepted"] == 6
    first, again, *others = [request.key for request in stub.requests]
    assert first == again
    assert len({first, *others}) == 3
    assert stub.requests[0].body == stub.requests[1].body

    with Stub(lambda _: (503, {"Retry-After": "3600"}, b'{"error": "full\\u001b"}')) as stub:
        output = finish(upload(tmp_path, file, stub.url, "--concurrency", "1"), 1)
    assert "answered 503 (full\N{REPLACEMENT CHARACTER})" in output
    assert "after --patience 300" in output
    assert len(stub.requests) == 1


def test_what_fails_temporarily_is_sent_again_under_its_key(
    tmp_path: Path, write_csv: WriteCsv
) -> None:
    troubles = iter([429, 500, 502, 504, None, None])

    def answer(request: Request) -> Answered | None:
        status = next(troubles, 202)
        return None if status is None else taken(request) if status == 202 else (status, {}, b"")

    with Stub(answer) as stub:
        options = ["--batch", "1", "--concurrency", "2", "--json"]
        report = report_of(finish(upload(tmp_path, write_csv(pairs("p", 9)), stub.url, *options)))
    assert report["accepted"] == 9
    assert report["requests"] == 15
    assert report["troubles"] == {
        "answered 429": 1,
        "answered 500": 1,
        "answered 502": 1,
        "answered 504": 1,
        "the connection was lost": 2,
    }
    keys = {request.key: request.body for request in stub.requests}
    assert len(keys) == 9
    assert all(keys[each.key] == each.body for each in stub.requests)


def test_a_request_that_is_too_large_is_halved(tmp_path: Path, write_csv: WriteCsv) -> None:
    def answer(request: Request) -> Answered:
        too_large = sum(len(each["content"]) for each in request.articles) > 200
        return (413, {}, b"<html>") if too_large else taken(request)

    rows = pairs("p", 16)
    rows[5] = ("p", "long " * 100)
    with Stub(answer) as stub:
        program = upload(tmp_path, write_csv(rows), stub.url, "--batch", "16", "--json")
        report = report_of(finish(program))
    assert report["rejected"] == {"too large for the service": 1}
    assert report["accepted"] == 15
    assert [each["row"] for each in rejects_in(program)] == [6]
    ids = Counter(
        article["id"]
        for request in stub.requests
        if answer(request)[0] == 202
        for article in request.articles
    )
    assert ids == Counter({row: 1 for row in range(1, 17) if row != 6})
    assert len({request.key for request in stub.requests}) == len(stub.requests)


def test_what_was_halved_goes_in_halves_again(tmp_path: Path, write_csv: WriteCsv) -> None:
    most = 1  # articles in a request

    def answer(request: Request) -> Answered:
        rows = [article["id"] for article in request.articles]
        if len(rows) > most:
            return 413, {}, b""
        return (503, {}, b"") if most == 1 and rows == [2] else taken(request)

    file = write_csv(pairs("p", 9))
    options = ["--batch", "4", "--concurrency", "1", "--json"]
    with Stub(answer) as stub:
        program = upload(tmp_path, file, stub.url, *options, "--patience", "0.2")
        finish(program, 1)
        assert sorted(state_of(program)["halved"]) == [[0, "0-0-2"], [0, "0-0-4"]]
        assert [len(request.articles) for request in stub.requests[:4]] == [4, 2, 1, 1]
        most = 4
        report = report_of(finish(upload(tmp_path, file, stub.url, *options, "--resume")))
    assert report["accepted"] == 9
    assert state_of(program)["halved"] == []
    sent = {each.key: [article["id"] for article in each.articles] for each in stub.requests[2:]}
    assert sorted(sent.values()) == [[1], [2], [3, 4], [5, 6, 7, 8], [9]]


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        ((200, {}, b"<html>Welcome"), "expected a daskingest service, found <html>Welcome"),
        ((202, {}, b'{"accepted": 2, "rejected": 0, "errors": []}'), "what became of 3 articles"),
        ((404, {}, b'{"error": "nothing here"}'), "answered 404, expected 202: nothing"),
        ((409, {}, b""), "the file has changed since"),
        ((302, {}, b""), "answered 302, expected 202"),
        ((501, {}, b'{"error": "see its log for"}'), "see its log for"),
    ],
)
def test_other_answers_end_it(
    tmp_path: Path, write_csv: WriteCsv, answered: Answered, said: str
) -> None:
    with Stub(lambda request: answered) as stub:
        output = finish(upload(tmp_path, write_csv(pairs("p", 3)), stub.url), 1)
    assert said in output
    assert len(stub.requests) == 1


def test_an_answer_that_cannot_be_read_is_asked_for_again(
    tmp_path: Path, write_csv: WriteCsv
) -> None:
    answers = iter([(202, {"Content-Encoding": "gzip"}, b"no gzip")])
    with Stub(lambda request: next(answers, None) or taken(request)) as stub:
        program = upload(tmp_path, write_csv(pairs("p", 3)), stub.url, "--json")
        report = report_of(finish(program))
    assert report["accepted"] == 3
    assert report["troubles"] == {"an answer that cannot be read": 1}
    first, again = stub.requests
    assert first.key == again.key


@pytest.mark.parametrize(
    "environment", [{"SSL_CERT_FILE": "none.pem"}, {"ALL_PROXY": "socks5://127.0.0.1:1"}]
)
def test_an_environment_that_cannot_be_used_gets_one_line(
    tmp_path: Path, write_csv: WriteCsv, environment: dict[str, str]
) -> None:
    code, output = run(tmp_path, "upload", write_csv(pairs("p", 1)), **environment)
    assert code == 2, output
    [line] = output.splitlines()
    assert line.startswith("error: cannot use the proxy or the certificates")


def test_rejects_that_could_not_be_written_are_written_later(
    tmp_path: Path, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, failed, write = Path("rejects.jsonl"), threading.Event(), RejectsFile.write

    def try_to_write(*arguments: Any, **more: Any) -> None:
        try:
            write(*arguments, **more)
        except RejectsUnwritten:
            path.rmdir()
            failed.set()
            raise

    def answer(request: Request) -> Answered:
        if stub.requests[1:]:
            failed.wait(PATIENCE)
        elif not path.exists():
            path.mkdir()
        return taken(request)

    monkeypatch.setattr(RejectsFile, "write", try_to_write)
    file = write_csv([("", "x"), *pairs("p", 3)])
    with Stub(answer) as stub:
        settings = UploadSettings(url=stub.url, batch=1, concurrency=1)
        upload = Upload(open_csv(file), settings, Progress())
        asyncio.run(upload())
    assert "cannot write rejects" in str(upload.failure)
    assert upload.report.tally.rows == 3
    [line] = path.read_text().splitlines()
    assert json.loads(line)["reason"] == "no publication"


def test_rejects_that_were_written_in_part_are_written_again(tmp_path: Path) -> None:
    file = RejectsFile(str(tmp_path / "rejects.jsonl"))
    file.write("f", [Reject("r", "", 0, 0)])
    rejects = [Reject("r", "", row, row) for row in range(4)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(RejectsUnwritten, match="cannot write rejects"):
            file.write("f", rejects)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.path.read_bytes().count(b"\n") == 1  # what was written in part is gone
    file.write("f", rejects)
    lines = file.path.read_text().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [1, 2, 3, 4]


def test_an_open_loop_sends_nothing_again(tmp_path: Path, write_csv: WriteCsv) -> None:
    turns = itertools.count()

    def answer(request: Request) -> Answered | None:
        turn = next(turns) % 4
        return (503, {}, b"") if turn == 1 else None if turn == 3 else taken(request)

    options = ["--open-loop", "--rate", "400", "--batch", "2", "--repeat", "2", "--json"]
    with Stub(answer) as stub:
        program = upload(tmp_path, write_csv(pairs("p", 40)), stub.url, *options)
        report = report_of(finish(program, 1))
    assert len({request.key for request in stub.requests}) == len(stub.requests) == 40
    assert (report["accepted"], report["missed"]) == (40, 40)
    assert report["troubles"] == {"answered 503": 10, "the connection was lost": 10}
    assert {"late", "latest_seconds"} <= report.keys()
    assert not list(program.folder.glob("*.upload.json"))


def test_certificates(tmp_path: Path, write_csv: WriteCsv) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*made, "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    file = write_csv(pairs("p", 3))
    with Stub(context=context) as stub:
        output = finish(upload(tmp_path, file, stub.url), 1)
        assert "cannot be verified: self-signed certificate" in output
        assert "--insecure" in output
        assert not stub.requests
        trusted = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        assert "warning" not in finish(upload(tmp_path, file, stub.url, **trusted))
        output = finish(upload(tmp_path, file, stub.url, "--insecure", "--no-progress"))
        assert "warning: with --insecure any certificate is accepted" in output
        assert "accepted  3 articles" in output


def test_options_come_from_the_environment(tmp_path: Path, write_csv: WriteCsv) -> None:
    path = Path(write_csv(pairs("p", 10)))
    path.write_text(path.read_text().replace("article,", "body,"))
    with Stub() as stub:
        environment = {
            "DASKINGEST_URL": stub.url + "/",
            "DASKINGEST_BATCH": "2",
            "DASKINGEST_COUNT": "6",
            "DASKINGEST_GZIP": "0",
            "DASKINGEST_CONTENT_COLUMN": "body",
            "DASKINGEST_STATE": "s.json",
            "DASKINGEST_API_KEY": "first,second",
        }
        code, output = run(tmp_path, "upload", str(path), **environment)
    assert code == 0, output
    assert [len(request.articles) for request in stub.requests] == [2, 2, 2]
    assert "content-encoding" not in stub.requests[0].headers
    assert stub.requests[0].headers["authorization"] == "Bearer first"
    assert stub.requests[0].path == "/articles"
    assert json.loads((tmp_path / "s.json").read_text())["complete"] is True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--open-loop"], "expected a --rate with --open-loop"),
        (["--open-loop", "--rate", "1", "--resume"], "leave out --resume"),
        (["--legacy", "--batch", "2"], "found --batch 2"),
        (["--url", "localhost:8000"], "to be like http://127.0.0.1:8000"),
        (["--url", "http://x:secret@localhost"], "expected a URL without a key"),
        (["--api-key", "a,,b"], "found an empty key"),
        (["--content-column", "none"], "no column for the content"),
        (["--state", "articles.csv"], "is not the state of an upload"),
        (["--state", "no/folder.json"], "cannot write no/folder.json"),
        (["--rejects", "no/folder.jsonl"], "cannot write rejects"),
    ],
)
def test_a_mistake_gets_one_line(
    tmp_path: Path, write_csv: WriteCsv, options: list[str], said: str
) -> None:
    file = Path(write_csv(pairs("p", 1)))
    before = file.read_bytes()
    code, output = run(tmp_path, "upload", str(file), *options)
    assert code == 2, output
    [line] = output.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert "secret" not in line
    assert file.read_bytes() == before


def test_an_unfinished_upload_is_put_aside(tmp_path: Path, write_csv: WriteCsv) -> None:
    file = write_csv(pairs("p", 3))
    url = f"http://127.0.0.1:{free_port()}"
    program = upload(tmp_path, file, url, "--patience", "0")
    finish(program, 1)
    first = state_of(program)["run"]
    with Stub() as stub:
        output = finish(upload(tmp_path, file, stub.url))
    assert "--resume --state articles.csv.upload.json.old" in output
    assert state_of(program)["run"] != first
    old = json.loads((program.folder / "articles.csv.upload.json.old").read_text())
    assert (old["run"], old["complete"]) == (first, False)


# Without a server.


def parcels_of(path: str, **options: Any) -> list[Parcel]:
    return list(parcels(open_csv(path), UploadSettings(**options)))


def test_parcels_are_the_same_each_time(tmp_path: Path, write_csv: WriteCsv) -> None:
    rows = pairs("p", 10)
    rows[3] = ("", "x")
    path = write_csv(rows)
    found = parcels_of(path, batch=4, repeat=2)
    assert [each.name for each in found] == ["0-0-4", "0-4-4", "0-8-1", "1-0-4", "1-4-4", "1-8-1"]
    assert [each.number for each in found] == [*range(6)]
    assert [[item.row for item in each.items] for each in found[:3]] == [
        [0, 1, 2, 4],
        [5, 6, 7, 8],
        [9],
    ]
    assert [(reject.row, reject.reason) for each in found for reject in each.rejects] == [
        (3, "no publication")
    ] * 2
    assert found == parcels_of(path, batch=4, repeat=2)
    assert [each.position for each in found] == sorted(each.position for each in found)
    settings = UploadSettings(batch=4, repeat=2)
    assert found[-1].position < (length_of(open_csv(path), settings) or 0)
    halves = list(found[1].halves(settings))
    assert [each.name for each in halves] == ["0-4-2", "0-6-2"]
    assert [item for half in halves for item in half.items] == found[1].items

    first = parcels_of(path, batch=1, count=5, gzip=False)
    assert [each.position for each in first] == [1, 2, 3, 4, 5]
    sent = {"publication": "p", "content": rows[5][1], "id": 6}
    assert json.loads(first[4].body) == {**sent, "published": "2020-01"}
    undated = parcels(open_csv(path, dates=False), UploadSettings(batch=1, gzip=False))
    assert [json.loads(each.body) for each in undated][4] == sent


def test_a_file_of_rejects_comes_in_parts(write_csv: WriteCsv) -> None:
    found = parcels_of(write_csv([("", "x")] * 2500 + pairs("p", 1)))
    assert [(len(each.items), len(each.rejects)) for each in found] == [
        (0, 1000),
        (0, 1000),
        (1, 500),
    ]


def test_a_rate_is_even() -> None:
    schedule = Schedule(10)
    now, sent = 100.0, []
    for _ in range(50):
        now = max(now, schedule.due(1, now))  # sent as soon as it is due
        sent.append(now)
    per_second = Counter(int(each - 100 + 1e-6) for each in sent)
    assert per_second == dict.fromkeys(range(5), 10)
    now = 200.0
    assert schedule.due(4, now) == 200.0  # a break is not made up for
    assert schedule.due(4, now) == pytest.approx(200.4)
    assert schedule.due(1, now) == pytest.approx(200.8)
    assert [Schedule(None).due(5, each) for each in (1.0, 2.0)] == [1.0, 2.0]


def test_an_open_loop_s_schedule_is_made_in_advance() -> None:
    schedule = Schedule(10, fixed=True)
    due = [schedule.due(1, now) for now in (5.0, 5.05, 9.0, 9.0)]
    assert due == pytest.approx([5, 5.1, 5.2, 5.3])


def test_a_stall_is_seen_in_an_open_loop_s_percentiles() -> None:
    """100 requests a second, each taking 1 ms, except for a stall of 1 s: those due then wait."""
    latencies, schedule = Latencies(), Schedule(100, fixed=True)
    for _ in range(1000):
        due = schedule.due(1, 0.0)
        sent = max(due, 6.0) if due > 5 else due
        latencies.add(sent + 0.001 - due)
    found = latencies.summary()
    assert found["p50"] == pytest.approx(0.001, rel=0.02)
    assert found["p99"] == pytest.approx(0.9, rel=0.03)  # one at a time would show 1 ms here
    assert found["max"] == pytest.approx(0.99, rel=0.02)


def test_percentiles_are_exact_to_one_per_cent() -> None:
    rng = np.random.default_rng(0)
    for numbers in (rng.lognormal(-4, 2, 20_000), [0.5], [0.0, 0.0, 1.0]):
        latencies = Latencies()
        for each in numbers:
            latencies.add(float(each))
        found = latencies.summary()
        for name, share in SHARES.items():
            exact = np.quantile(numbers, share, method="inverted_cdf")
            assert found[name] == pytest.approx(exact, rel=0.0101, abs=1.1e-6)
        assert found["max"] == max(numbers)
    assert set(Latencies().summary().values()) == {0.0}


def test_waits_grow_up_to_a_bound() -> None:
    assert [backoff(tries, 0) for tries in (1, 2, 3, 7, 1000)] == [0.1, 0.2, 0.4, 5, 5]
    assert backoff(3, 1) == 0.2


def test_retry_after() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert retry_after("7", now) == 7
    assert retry_after("Fri, 02 Jan 2026 03:05:05 GMT", now) == 60
    assert retry_after("Fri, 02 Jan 2026 03:05:05 -0000", now) == 60
    assert retry_after("Fri, 02 Jan 2026 03:00:00 GMT", now) == 0
    for wrong in (None, "", "soon", "-1", "1.5"):
        assert retry_after(wrong, now) is None


def answer(status: int, value: Any = None, **headers: str) -> httpx.Response:
    request = httpx.Request("POST", "http://x/articles")
    return httpx.Response(status, json=value, headers=headers, request=request)


def test_answers(write_csv: WriteCsv) -> None:
    now = datetime.now(UTC)
    [parcel] = parcels_of(write_csv(pairs("p", 3)))
    errors = [{"line": 2, "reason": "bad", "detail": "so"}]
    said = {"accepted": 2, "rejected": 1, "errors": errors}
    assert judge(answer(202, said), parcel, False, now) == Accepted({1: ("bad", "so")})
    again = answer(202, said, **{"Idempotent-Replayed": "true"})
    assert judge(again, parcel, False, now) == Accepted({1: ("bad", "so")}, replayed=True)
    assert judge(answer(201), parcel, True, now) == Accepted()
    wrong = {"error": "e", "rejected": [{"index": 0, "reason": "bad", "detail": "so"}]}
    assert judge(answer(422, wrong), parcel, False, now) == Rejected("bad", "so")
    assert judge(answer(413), parcel, False, now) == Rejected(
        "too large for the service", "answered 413"
    )
    full = answer(503, {"error": "full"}, **{"Retry-After": "5"})
    assert judge(full, parcel, False, now) == RetryLater("answered 503", "full", 5)
    strange: list[Any] = [
        {},
        [],
        {"accepted": "3"},
        {"accepted": 2, "rejected": 1},
        {"accepted": 2, "rejected": 1, "errors": [{"line": 4, "reason": "r"}]},
        {"accepted": 2, "rejected": 1, "errors": [{"line": 1.5, "reason": "r"}]},
        {"accepted": 2, "rejected": 1, "errors": ["x"]},
    ]
    for each in strange:
        with pytest.raises(UploadError, match="expected a daskingest service"):
            judge(answer(202, each), parcel, False, now)
    assert judge(answer(202, {"accepted": 3}), parcel, False, now) == Accepted()


def test_the_state_is_taken_up(
    tmp_path: Path, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_csv(pairs("p", 5))
    state = UploadState.open(open_csv(path), path, UploadSettings())
    found = list(parcels(open_csv(path), UploadSettings(batch=1)))
    for number in (0, 1, 4, 3):
        state.done(found[number])
    state.tally.rejected["bad"] = 2
    state.save(state.text(1.0))
    again = UploadState.open(open_csv(path), path, UploadSettings(resume=True))
    assert [n for n in range(8) if again.is_done(n)] == [0, 1, 3, 4]
    assert (again.prefix, again.tally, again.unsure) == (state.prefix, state.tally, 1.0)
    assert UploadState.open(open_csv(path), path, UploadSettings()).prefix != state.prefix
    for changed in ({"batch": 7}, {"url": "http://y"}, {"repeat": 2}, {"legacy": True}):
        with pytest.raises(UsageError, match=f"use the same --{next(iter(changed))}"):
            UploadState.open(open_csv(path), path, UploadSettings(resume=True, **changed))
    write_csv(pairs("p", 6))
    with pytest.raises(UsageError, match="before it was changed"):
        UploadState.open(open_csv(path), path, UploadSettings(resume=True))


def test_what_others_could_read_is_warned_of() -> None:
    def warned(**options: Any) -> list[str]:
        return warnings(UploadSettings(key="k", **options))

    assert not warned()
    assert not warned(url="http://localhost:8000")
    for here in ("http://127.0.0.1:8000", "http://[::1]:8000", "HTTP://LOCALHOST"):
        assert not warned(url=here)
    assert not warned(url="https://news.example.org")
    assert not warned(url="http://x:port")
    assert not warnings(UploadSettings(url="http://news.example.org"))
    for host in ("news.example.org", "localhost.evil.example", "127.evil.example", "10.0.0.1"):
        assert "use https" in warned(url=f"http://{host}")[0]
    assert "use https" in warned(url="HTTP://svc")[0]
    assert "can read and change" in warned(insecure=True)[0]


def test_the_report_adds_up(write_csv: WriteCsv) -> None:
    first, second = parcels_of(write_csv([("", "x"), *pairs("p", 6)]), batch=3)
    report = UploadReport("f", "u", "r", measured=Measured(seconds=2.0))
    report.settle(first, Counter({"bad": 1}), 0)
    report.settle(second, Counter(), 3)
    tally = report.tally
    assert (tally.rows, tally.articles, tally.accepted, tally.missed) == (7, 6, 2, 3)
    assert tally.rejected == {"bad": 1, "no publication": 1}
    assert report.as_dict()["articles_per_second"] == 1.0
    assert report.measured.size == first.size
