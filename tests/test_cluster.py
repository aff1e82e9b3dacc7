"""`daskingest scheduler` and `daskingest worker`: clusters of real processes."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clusters import certificates, dask_process, in_a_container, member, scheduler, until_joined
from program import Program, content, free_port, ledger, reference, run, until

import daskingest

TEXT = "Angela Merkel met Emmanuel Macron of France in Berlin, {}. "


@contextmanager
def workers(folder: Path, address: str, *options: str, count: int = 1) -> Iterator[Program]:
    """Those that extract, and one that saves, which have joined. The former are given."""
    one = member(folder / "extract", "worker", address, "--workers", str(count), *options)
    other = member(folder / "saver", "worker", address, "--for", "saver", *options)
    with one as extracting, other as saving:
        until_joined(extracting, times=count)
        until_joined(saving)
        yield extracting


def test_a_cluster_with_certificates(sample: Path, tmp_path: Path) -> None:
    files = certificates(tmp_path / "tls", "scheduler", "worker", "client")
    strangers = certificates(tmp_path / "tls2", "client")["client"]
    with (
        scheduler(tmp_path / "scheduler", *files["scheduler"]) as address,
        workers(tmp_path, address, *files["worker"], count=2) as extracting,
    ):
        assert address.startswith("tls://")
        assert "without encryption" not in extracting.output
        command = ["run-csv", str(sample), "--scheduler", address, "--batch-bytes", "8000"]
        for wanted, options, expected in (
            (2, [], f"error: {address} needs certificates: give --tls-ca-file and --tls-cert"),
            (
                1,
                strangers,
                f"error: no Dask scheduler at {address}: its certificate is not trusted",
            ),
        ):
            code, output = run(tmp_path, *command, *options)
            assert code == wanted
            [line] = [each for each in output.splitlines() if each.startswith("error: ")]
            assert line.startswith(expected)
            assert "Traceback" not in output
        code, output = run(tmp_path, *command, *files["client"])
        assert code == 0, output
        assert "settings of Dask" not in output
        _, output = run(tmp_path, "doctor", "--scheduler", address, *files["client"])
        assert f"{address} has workers for extraction (2) and savers (1)" in output
    assert content(tmp_path / "daskingest.db") == reference(sample)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_end_a_cluster(tmp_path: Path, number: int, code: int) -> None:
    with member(tmp_path / "scheduler", "scheduler", "--port", str(free_port())) as scheduling:
        until(lambda: "scheduling" in scheduling.output)
        address = scheduling.output.partition("address=")[2].split()[0]
        with member(tmp_path / "worker", "worker", address, "--for", "saver") as working:
            until_joined(working)
            for each in (working, scheduling):
                each.family()
                each.process.send_signal(number)
                assert each.wait() == code, each.output
                assert "Traceback" not in each.output
                each.wait_for_the_family_s_end()
        assert "finishes what it has begun" in working.output


def test_a_worker_that_waits_for_a_scheduler_can_be_stopped(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with member(tmp_path / "worker", "worker", address, "--for", "saver") as working:
        until(lambda: f"waiting for the scheduler at {address}: Connection ref" in working.output)
        working.process.terminate()
        assert working.wait() == 0, working.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["scheduler", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1, port 8786: Cannot"),
        (["scheduler", "--tls-cert", "a.pem"], "needs certificates: give --tls-ca-file"),
        (["worker", "tcp://127.0.0.1:1", "--memory-limit", "much"], "expected --memory-limit like"),
        (["worker", "tls://127.0.0.1:1"], "tls://127.0.0.1:1 needs certificates"),
        (["worker", "tcp://127.0.0.1:1", "--model", "xx_none"], "xx_none"),
    ],
)
def test_what_cannot_be_started_is_one_line(
    tmp_path: Path, options: list[str], expected: str
) -> None:
    code, output = run(tmp_path, *options)
    assert code == 2, output
    [line] = output.splitlines()
    assert line.startswith("error: ")
    assert expected in line


@pytest.mark.slow
def test_workers_come_back(sample: Path, tmp_path: Path) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    one = member(tmp_path / "extract", "worker", address, "--workers", "2")
    other = member(tmp_path / "saver", "worker", address, "--for", "saver")
    with one as extracting, other as saving:
        until(lambda: "waiting for the scheduler" in extracting.output)
        for times in (1, 2):
            with scheduler(tmp_path / "scheduler", port=port):
                until_joined(extracting, times=2 * times)
                until_joined(saving, times=times)
                store = tmp_path / f"{times}.db"
                options = ["--scheduler", address, "--store", f"sqlite:///{store}"]
                code, output = run(tmp_path, "run-csv", str(sample), *options)
                assert code == 0, output
                assert content(store) == reference(sample)
        assert "a worker has left (" in extracting.output
        assert "another one takes its place" in extracting.output


@pytest.mark.slow
def test_a_worker_that_is_told_to_go_finishes_its_batch(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    path = write_csv([("P", TEXT.format(i) * 100) for i in range(600)])
    store = tmp_path / "daskingest.db"
    with (
        scheduler(tmp_path / "scheduler") as address,
        workers(tmp_path, address) as first,
        member(tmp_path / "second", "worker", address, "--workers", "1") as second,
    ):
        until_joined(second)
        options = ["--scheduler", address, "--batch-bytes", "200000", "--flush-interval", "0.2"]
        program = Program(tmp_path, "run-csv", path, *options, "--log-level", "info")
        until(lambda: ledger(store) > 1)
        first.process.terminate()
        assert first.wait() == 0, first.output
        assert program.wait() == 0, program.output
    assert "did not finish in time" not in first.output
    assert content(store)[0] == {"p": 600}
    assert "600 articles + 0 rejects" in program.output


@pytest.mark.slow
def test_a_saver_that_is_told_to_go_commits_what_it_has(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    path = write_csv([("P", TEXT.format(i) * 100) for i in range(600)])
    store = tmp_path / "daskingest.db"
    with (
        scheduler(tmp_path / "scheduler") as address,
        member(tmp_path / "extract", "worker", address, "--workers", "1") as extracting,
        member(tmp_path / "one", "worker", address, "--for", "saver") as one,
    ):
        until_joined(extracting, one)
        options = ["--scheduler", address, "--batch-bytes", "200000", "--flush-interval", "600"]
        log = ["--log-level", "debug", "--log-format", "json", "--log-file", "log"]
        program = Program(tmp_path, "run-csv", path, *options, *log)
        until((tmp_path / "log").exists)
        until(lambda: (tmp_path / "log").read_text().count("begun by") > 3)
        before = ledger(store)
        one.process.terminate()
        assert one.wait() == 0, one.output
        assert ledger(store) > before
        with member(tmp_path / "two", "worker", address, "--for", "saver"):
            assert program.wait() == 0, program.output
    assert content(store)[0] == {"p": 600}


@pytest.mark.slow
def test_a_worker_that_would_count_otherwise_ends_with_the_reason(
    sample: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(Path(daskingest.__file__).parent, other / "daskingest")
    with (other / "daskingest" / "text.py").open("a") as out:
        out.write("# changed\n")
    path = str(other)
    with scheduler(tmp_path / "scheduler") as address, workers(tmp_path, address):
        command = ["serve", "--port", "0", "--scheduler", address]
        with member(tmp_path / "serve", *command) as serving:
            until(lambda: "serving" in serving.output)
            late = member(tmp_path / "late", "worker", address, "--workers", "2", PYTHONPATH=path)
            with late as refused:
                assert refused.wait() == 1
            until(lambda: serving.output.count("is refused: its daskingest is") == 2)
    assert refused.output.splitlines()[-1].startswith("error: the workers were refused: its dask")
    assert "Traceback" not in refused.output


@pytest.mark.slow
def test_a_cluster_that_runs_otherwise_is_told_how_to_start(sample: Path, tmp_path: Path) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    worker = ("worker", address, "--nworkers", "1", "--resources")
    with (
        dask_process("scheduler", "--port", str(port)),
        dask_process(*worker, "extract=1", "--nthreads", "3"),
        dask_process(*worker, "saver=1", "--nthreads", "1"),
    ):
        command = ["doctor", "--scheduler", address]
        until(lambda: "are the same without that" in run(tmp_path, *command)[1])
        _, told = run(tmp_path, *command, "--savers", "2")
        assert f"(1): start one with `daskingest worker {address} --for saver`" in told
        code, output = run(tmp_path, "run-csv", str(sample), "--scheduler", address)
    assert code == 0, output
    for each in (
        "the scheduler runs with other settings of Dask: distributed.scheduler.allowed-failures is",
        "3 threads, of which one is used; start workers with `daskingest worker",
        f"start workers with `daskingest worker {address} --for saver`",
    ):
        assert each in output
    assert content(tmp_path / "daskingest.db") == reference(sample)


@pytest.mark.slow
def test_a_worker_that_does_not_see_the_file(sample: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    path = shutil.copy(sample, place / "a.csv")
    with scheduler(tmp_path / "scheduler") as address, workers(tmp_path, address):
        options = ("worker", address, "--workers", "1")
        with member(tmp_path / "blind", *options, before=in_a_container(place)) as blind:
            until_joined(blind)
            code, output = run(tmp_path, "run-csv", str(path), "--scheduler", address)
    assert code == 2, output
    assert "these workers do not see what this machine reads" in output
    [line] = [each for each in output.splitlines() if each.startswith("  tcp://")]
    assert line.endswith(f"{path}: No such file or directory")


def test_a_port_that_others_can_reach_is_told(tmp_path: Path) -> None:
    with member(tmp_path, "scheduler", "--host", "0.0.0.0", "--port", str(free_port())) as program:
        until(lambda: "scheduling" in program.output)
        until(lambda: "listens on 0.0.0.0 without encryption: whoever can" in program.output)


def test_nothing_is_left_of_a_worker_that_is_killed(tmp_path: Path) -> None:
    with (
        scheduler(tmp_path / "scheduler") as address,
        member(tmp_path / "worker", "worker", address, "--workers", "1") as program,
    ):
        until_joined(program)
        program.kill_with_family()
