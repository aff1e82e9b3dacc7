"""A file that vanishes, or is edited, while a run waits for another scheduler."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from program import Program, content, ledger, run, until
from test_scheduler_lost import OPTIONS, TEXT, Cluster

pytestmark = pytest.mark.slow


def vanish(path: Path) -> None:
    path.unlink()


def be_edited(path: Path) -> None:
    """From its middle on, which was not counted yet, in as many bytes."""
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + data[half:].replace(b"Berlin", b"London"))


@pytest.mark.parametrize("looked_at", [False, True], ids=["not looked at since", "looked at since"])
@pytest.mark.parametrize("loss", [vanish, be_edited])
def test_a_file_that_is_lost_meanwhile_is_told_and_nothing_else_is(
    write_csv: Callable[..., str], tmp_path: Path, loss: Callable[[Path], None], looked_at: bool
) -> None:
    cluster, store = Cluster(), tmp_path / "daskingest.db"
    path = Path(write_csv([("P", TEXT.format(i) * 20) for i in range(600)]))
    before = path.read_bytes()
    options = ["--scheduler", cluster.address, "--wait-for-scheduler", "100", *OPTIONS]
    with ExitStack() as stack:
        stack.enter_context(cluster.running())
        program = Program(tmp_path, "run-csv", str(path), *options)
        until(lambda: ledger(store) > 3)
        with program.suspended():
            stack.close()
            if not looked_at:
                loss(path)
    if looked_at:
        until(lambda: "waiting: no Dask scheduler" in program.output)
        loss(path)
    counted = content(store)[0]["p"]
    with cluster.running():
        assert program.wait() == 1, program.output
        *_, line = program.output.splitlines()
        assert line.startswith("error: ") and str(path) in line
        assert program.output.count("error") == 1
        assert "Traceback" not in program.output
        assert counted <= content(store)[0]["p"] < 600
        path.write_bytes(before)
        code, output = run(tmp_path, "run-csv", str(path), *options)
    assert code == 0, output
    assert content(store)[0] == {"p": 600}
    assert content(store)[1]["p", "berlin", "GPE"] == 600 * 20
