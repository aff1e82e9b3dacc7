from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import dask
import psutil
import pytest
import yaml
from clusters import dask_process, in_a_container
from program import Program, Server, StoreContent, content, reference, run, until

import daskingest
from daskingest.pipeline.dask_settings import DASK_CONFIG


def test_the_configuration_for_clusters_is_the_local_one() -> None:
    file = Path(__file__).parent.parent / "cluster" / "dask.yaml"
    with dask.config.set(yaml.safe_load(file.read_text())):
        for key, value in DASK_CONFIG.items():
            assert dask.config.get(key) == value, key


def listening(process: psutil.Process) -> set[str]:
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:
        return set()
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}


def test_the_processes_of_a_local_cluster(write_csv: Callable[..., str], tmp_path: Path) -> None:
    path = write_csv([("P", f"Angela Merkel in Berlin, {i}. " * 20) for i in range(1500)])
    program = Program(tmp_path, "run-csv", path, "--workers", "2", "--batch-bytes", "20000")
    until(lambda: "counting" in program.output)
    workers = program.workers()
    assert len(workers) == 3, program.output
    for each in [psutil.Process(program.process.pid), *workers]:
        assert listening(each) <= {"127.0.0.1"}
    for each in workers:
        environment = each.environ()
        assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"
        loaded = "\n".join(map_.path for map_ in each.memory_maps())
        assert "/pyarrow/" in loaded
        assert "/pandas/" not in loaded
    [line] = [each for each in program.output.splitlines() if each.startswith("dashboard: ")]
    with urlopen(line.removeprefix("dashboard: "), timeout=30) as page:
        assert page.status == 200
        assert b"bokeh" in page.read().lower()
    assert program.wait() == 0, program.output
    program.wait_for_the_family_s_end()


def test_a_cluster_that_exists(sample: Path, tmp_path: Path) -> None:
    expected: StoreContent = reference(sample)
    file = tmp_path / "scheduler.json"
    local = ("--scheduler-file", str(file))
    one = ("--nworkers", "1", "--nthreads", "1")
    with dask_process("scheduler", *local, "--port", "0"):
        until(file.exists)
        address = str(yaml.safe_load(file.read_text())["address"])
        options = ["run-csv", str(sample), "--scheduler", address, "--batch-bytes", "8000"]
        code, output = run(tmp_path, *options)
        assert code == 1
        assert "no worker with the resource 'extract'" in output
        assert f"start one with `daskingest worker {address} --for extract`" in output
        with dask_process("worker", *local, *one, "--resources", "extract=1"):
            until(lambda: "resource 'saver'" in run(tmp_path, *options)[1])
            with dask_process("worker", *local, *one, "--resources", "saver=1"):
                until(lambda: run(tmp_path, *options)[0] == 0)
    assert content(tmp_path / "daskingest.db") == expected


@pytest.mark.slow
def test_workers_that_would_count_otherwise_are_refused_by_name(
    sample: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(Path(daskingest.__file__).parent, other / "daskingest")
    with (other / "daskingest" / "text.py").open("a") as out:
        out.write("# changed\n")
    file = tmp_path / "scheduler.json"
    local = ("--scheduler-file", str(file))
    one = ("--nworkers", "1", "--nthreads", "1")
    extracting = ("worker", *local, *one, "--resources", "extract=1")
    with dask_process("scheduler", *local, "--port", "0"):
        until(file.exists)
        address = str(yaml.safe_load(file.read_text())["address"])
        options = ["run-csv", str(sample), "--scheduler", address, "--batch-bytes", "8000"]
        saving = ("worker", *local, *one, "--resources", "saver=1")
        with dask_process(*saving), dask_process(*extracting):
            until(lambda: run(tmp_path, *options)[0] == 0)
            serving = Server(tmp_path, "--scheduler", address)
            serving.wait_until_ready()
            with dask_process(*extracting, code=other) as late:
                until(lambda: late.poll() is not None, 40)
            until(lambda: "is refused: its daskingest is" in serving.output)
            serving.kill()  # so that it can't tidy up
        # What is there now is none of the earlier drivers' business, but the next one's.
        with dask_process(*saving), dask_process(*extracting, code=other):
            options += ["--store", f"sqlite:///{tmp_path / 'b.db'}"]
            until(lambda: "no worker with" not in run(tmp_path, *options)[1])
            _, found = run(tmp_path, "doctor", "--scheduler", address)
            code, output = run(tmp_path, *options)
        assert "workers that would be refused: tcp://127.0.0.1:" in found
        assert code == 2
        assert "these workers would not count as this machine does:" in output
        [line] = [each for each in output.splitlines() if "its daskingest is" in each]
        assert line.strip().startswith("tcp://127.0.0.1:")
        assert "install the same daskingest there" in line
    assert content(tmp_path / "daskingest.db") == reference(sample)


@pytest.mark.slow
def test_a_saver_that_does_not_see_the_store_s_file(sample: Path, tmp_path: Path) -> None:
    place = tmp_path / "store"
    place.mkdir()
    apart = in_a_container(place)
    file, store = tmp_path / "scheduler.json", place / "counts.db"
    local = ("--scheduler-file", str(file))
    one = ("--nworkers", "1", "--nthreads", "1")
    with (
        dask_process("scheduler", *local, "--port", "0"),
        dask_process("worker", *local, *one, "--resources", "extract=1"),
        dask_process("worker", *local, *one, "--resources", "saver=1", before=apart),
    ):
        until(file.exists)
        address = str(yaml.safe_load(file.read_text())["address"])
        options = ["--scheduler", address, "--store", f"sqlite:///{store}"]
        until(lambda: "with the resource" not in run(tmp_path, "doctor", *options)[1])
        for command in (["run-csv", str(sample)], ["serve", "--port", "0"]):
            code, output = run(tmp_path, *command, *options)
            assert code == 2, output
            assert "does not see it: start the worker with the resource 'saver' on this" in output
    assert content(store) == ({}, {})
    assert {each.name for each in place.iterdir()} == {"counts.db"}


@pytest.mark.slow
def test_a_later_saver_that_does_not_see_the_store_s_file(tmp_path: Path) -> None:
    place = tmp_path / "store"
    place.mkdir()
    file = tmp_path / "scheduler.json"
    local = ("--scheduler-file", str(file))
    one = ("--nworkers", "1", "--nthreads", "1")
    saving = ("worker", *local, *one, "--resources", "saver=1")
    with (
        dask_process("scheduler", *local, "--port", "0"),
        dask_process("worker", *local, *one, "--resources", "extract=1"),
    ):
        until(file.exists)
        address = str(yaml.safe_load(file.read_text())["address"])
        with dask_process(*saving):
            until(
                lambda: (
                    "with the resource" not in run(tmp_path, "doctor", "--scheduler", address)[1]
                )
            )
            server = Server(place, "--scheduler", address)
            server.wait_until_ready()
        with dask_process(*saving, before=in_a_container(place)):
            assert server.wait() == 2
    assert "does not see it: start the worker with the resource 'saver' on this" in server.output


@pytest.mark.slow
def test_a_scheduler_that_is_not_there(sample: Path, tmp_path: Path) -> None:
    code, output = run(tmp_path, "run-csv", str(sample), "--scheduler", "tcp://127.0.0.1:1")
    assert code == 1
    assert "no Dask scheduler at tcp://127.0.0.1:1" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_sixteen_workers(sample: Path, tmp_path: Path) -> None:
    code, output = run(tmp_path, "run-csv", str(sample), "--workers", "16", "--batch-bytes", "3000")
    assert code == 0, output
    assert content(tmp_path / "daskingest.db") == reference(sample)
