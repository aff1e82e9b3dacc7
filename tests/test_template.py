"""The process that a local cluster's workers are forks of: with real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from models import make_deadly_model, python_path
from program import Program, content, kill, reference, run, until

from daskingest import __main__ as main
from daskingest.pipeline import template
from daskingest.settings import RecognizerKind

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks workers")

THREAD = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
BROKEN = """
raise ValueError("no model today")
"""
ARRAYS = """
import sys
from daskingest.pipeline.preload import _without_pandas
with _without_pandas():
    import pyarrow
    pyarrow.array([])
table = pyarrow.table({"n": [1, 2]})
assert "pandas" not in sys.modules
frame = table.to_pandas()
assert list(frame["n"]) == [1, 2]
assert pyarrow.array(frame["n"]).to_pylist() == [1, 2]
"""


def model_with(folder: Path, code: str) -> str:
    """A model whose package runs this when it is imported."""
    name = make_deadly_model(folder)
    file = folder / name / "__init__.py"
    file.write_text(file.read_text() + code)
    return name


@pytest.mark.slow
def test_workers_are_forks_and_a_dead_one_is_replaced(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    path = write_csv([("P", f"Angela Merkel in Berlin, {i}. " * 20) for i in range(1500)])
    program = Program(tmp_path, "run-csv", path, "--workers", "2", "--batch-bytes", "20000")
    until(lambda: "counting" in program.output or program.process.poll() is not None)
    workers = program.workers()
    assert len(workers) == 3, program.output
    parents = {each.ppid() for each in workers}
    assert len(parents) == 1
    parent = psutil.Process(parents.pop())
    assert parent.ppid() == program.process.pid
    assert any("spacy" in each.path for each in parent.memory_maps()), "it has loaded nothing"
    kill(next(each for each in workers if each != program.saver()))
    assert program.wait() == 0, program.output
    assert content(tmp_path / "daskingest.db") == reference(Path(path))
    program.wait_for_the_family_s_end()


def test_nothing_is_left_of_a_program_that_is_killed_while_the_template_loads(
    sample: Path, tmp_path: Path
) -> None:
    program = Program(tmp_path, "run-csv", str(sample))
    until(lambda: any("forkserver" in " ".join(each.cmdline()) for each in program.family()))
    assert not program.workers()
    program.process.kill()
    program.process.wait()
    program.wait_for_the_family_s_end()


@pytest.mark.slow
def test_a_model_that_starts_threads_is_loaded_by_each_worker(sample: Path, tmp_path: Path) -> None:
    """A fork of a process with threads may wait for ever for what another thread held."""
    model = model_with(tmp_path, THREAD)
    options = ("--model", model, "--workers", "1", "--batch-bytes", "30000")
    code, output = run(tmp_path, "run-csv", str(sample), *options, PYTHONPATH=python_path(tmp_path))
    assert code == 0, output
    assert content(tmp_path / "daskingest.db") == reference(sample)


def test_a_model_that_cannot_be_loaded_is_told_once(sample: Path, tmp_path: Path) -> None:
    model = model_with(tmp_path, BROKEN)
    options = ("--model", model, "--workers", "1")
    code, output = run(tmp_path, "run-csv", str(sample), *options, PYTHONPATH=python_path(tmp_path))
    assert code == 2, output
    assert f"the workers cannot load the model {model}: no model today" in output
    assert output.count("no model today") == 1


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        ("run-csv a.csv", {}, ("default", "fast")),
        ("run-csv a.csv --model=mine --recognizer spacy", {}, ("mine", "spacy")),
        ("serve --model mine", {"DASKINGEST_MODEL": "other"}, ("mine", "fast")),
        ("serve", {"DASKINGEST_MODEL": "other"}, ("other", "fast")),
        ("run-csv a.csv --scheduler tcp://there", {}, None),
        ("run-csv a.csv", {"DASKINGEST_SCHEDULER": "tcp://there"}, None),
        ("run-csv --help", {}, None),
        ("run-csv a.csv --recognizer", {}, ("default", "fast")),
        ("run-csv a.csv --recognizer what", {}, None),
        ("top run-csv", {}, None),
        ("", {}, None),
    ],
)
def test_what_is_going_to_be_loaded_is_foreseen(
    arguments: str,
    variables: dict[str, str],
    expected: tuple[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[tuple[str, str]] = []

    def start(model: str, recognizer: RecognizerKind) -> bool:
        begun.append((model, str(recognizer)))
        return True

    monkeypatch.setattr(template, "start", start)
    monkeypatch.setattr("daskingest.models.find_model", lambda name: name or "default")
    main._begin_loading(arguments.split(), variables)
    assert begun == ([expected] if expected else [])


def test_pandas_is_loaded_by_who_wants_a_data_frame() -> None:
    subprocess.run([sys.executable, "-c", ARRAYS], check=True)


def test_the_environment_is_as_it_was(tmp_path: Path) -> None:
    """What is set for the template stays with it."""
    code = (
        "import json, os\n"
        "from daskingest.models import find_model\n"
        "from daskingest.pipeline import template\n"
        "from daskingest.settings import RecognizerKind\n"
        "before = dict(os.environ)\n"
        "assert template.start(find_model(), RecognizerKind.FAST)\n"
        "assert template.start('another', RecognizerKind.FAST)\n"
        "print(json.dumps(before == dict(os.environ)))\n"
    )
    file = tmp_path / "program.py"
    file.write_text(code)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is True
    assert done.stderr == ""
