"""Programs in surroundings that are not as usual: addresses, ports, users, rows."""

from __future__ import annotations

import csv
import http.client
import json
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from program import HTTP, Program, content, run, until

from daskingest.counts import Counts
from daskingest.errors import UsageError
from daskingest.ledger import BatchId, Counted
from daskingest.pipeline.destination import _staging_url
from daskingest.service.listening import url_of
from daskingest.stores import open_store
from daskingest.stores.reading import find_publication


def six() -> bool:
    """Whether this machine has IPv6."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def a_store(folder: Path, *names: str) -> str:
    counts = Counts()
    for name in names:
        counts.add_article(name, [("paris", "GPE")])
    url = f"sqlite:///{folder}/daskingest.db"
    with open_store(url, create=True) as store:
        store.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    return url


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_explore_prints_where_it_is(tmp_path: Path, host: str) -> None:
    if host == "::1" and not six():
        pytest.skip("this machine has no IPv6")
    a_store(tmp_path, "P")
    program = Program(tmp_path, "explore", "--port", "0", "--host", host)
    until(lambda: "press Ctrl-C" in program.output or program.process.poll() is not None)
    [url] = [word for word in program.output.split() if word.startswith("http")]
    assert HTTP.get(url.rstrip(";"), timeout=60).is_success
    program.process.terminate()
    program.wait()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_serve_logs_where_it_is(tmp_path: Path, host: str) -> None:
    if host == "::1" and not six():
        pytest.skip("this machine has no IPv6")
    program = Program(tmp_path, "serve", "--port", "0", "--host", host, "--workers", "1")
    until(lambda: '"serving"' in program.output or program.process.poll() is not None)
    lines = [json.loads(line) for line in program.output.splitlines()]
    [url] = [each["url"] for each in lines if each["event"] == "serving"]
    assert HTTP.get(f"{url}/healthz", timeout=60).is_success
    answer = HTTP.post(f"{url}/articles", json={"content": "a\0b", "publication": "P"})
    assert answer.status_code == http.client.UNPROCESSABLE_ENTITY
    assert "content holds a NUL character" in answer.text
    program.process.terminate()
    assert program.wait() == 0


def test_an_address_of_ipv6_has_brackets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert url_of("::1", listener) == f"http://[::1]:{port}"
        assert url_of("localhost", listener) == f"http://localhost:{port}"


def write(folder: Path, *rows: tuple[str, str]) -> str:
    with (folder / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "source"), *rows])
    return "a.csv"


def test_rows_with_a_nul_are_rejected_and_a_name_is_one_however_it_is_typed(
    tmp_path: Path,
) -> None:
    text = "Angela Merkel was in Z\N{LATIN SMALL LETTER U WITH DIAERESIS}rich."
    file = write(
        tmp_path,
        (text, "S\xfcddeutsche"),
        (text.replace("\xfc", "u\u0308"), "Su\u0308ddeutsche"),
        ("Angela\0 Merkel", "P"),
    )
    code, output = run(tmp_path, "run-csv", file, "--workers", "1")
    assert code == 0, output
    [reject] = map(json.loads, (tmp_path / "rejects.jsonl").read_text().splitlines())
    assert reject["reason"] == "content holds a NUL character"
    articles, counts = content(tmp_path / "daskingest.db")
    assert articles == {"s\xfcddeutsche": 2}
    assert counts["s\xfcddeutsche", "angela merkel", "PERSON"] == 2
    code, output = run(tmp_path, "top", "Su\u0308ddeutsche", "--json")
    assert code == 0, output


def test_what_an_earlier_version_kept_is_found(tmp_path: Path) -> None:
    url = a_store(tmp_path, "P")
    name = "su\u0308ddeutsche"
    import sqlite3

    db = sqlite3.connect(tmp_path / "daskingest.db")
    with db:
        db.execute("UPDATE publications SET key = ?, name = ?", (name, name))
    db.close()
    with open_store(url) as store:
        assert find_publication(store, "Su\u0308ddeutsche").key == name


def test_a_file_of_rejects_alone_is_a_failure(tmp_path: Path) -> None:
    file = write(tmp_path, ("", "P"), ("text", ""))
    for _ in range(2):
        code, output = run(tmp_path, "run-csv", file, "--workers", "1")
        assert code == 1, output
        assert "0 articles + 2 rejects" in output
        assert "no row could be used" in output


def test_the_dashboard_s_port_is_taken_in_the_last_moment(tmp_path: Path) -> None:
    file = write(tmp_path, ("Angela Merkel", "P"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = (
            "from daskingest.pipeline import cluster\n"
            f"cluster._dashboard_port = lambda: {port}\n"
            "from daskingest.__main__ import main\n"
            "main()\n"
        )
        command = [sys.executable, "-c", program, "run-csv", file, "--workers", "1"]
        ended = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "already in use" not in ended.stderr
    assert "dashboard: http://127.0.0.1:" in ended.stderr
    assert f":{port}" not in ended.stderr


def test_a_user_without_a_home(tmp_path: Path) -> None:
    file = write(tmp_path, ("Angela Merkel", "P"))
    program = (
        "import pwd\n"
        "pwd.getpwuid = lambda uid: {}[uid]\n"
        "from daskingest.__main__ import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "run-csv", file, "--workers", "1"]
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    ended = subprocess.run(
        command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    names = {each.name for each in tmp_path.iterdir()}
    assert names - {"daskingest.db-shm", "daskingest.db-wal"} == {file, "daskingest.db"}


@pytest.mark.parametrize("home", [None, os.devnull])
def test_what_needs_a_home_says_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    if home is not None:
        monkeypatch.setenv("HOME", home)
    with pytest.raises(UsageError, match=r"you have no home folder.*--staging"):
        _staging_url("firestore://project", None)
