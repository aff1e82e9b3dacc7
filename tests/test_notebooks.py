"""The notebooks, each from a clean kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
SLOW = ("cluster", "inside", "over_time")
PICTURES = {"explore": 3, "cluster": 0, "inside": 0, "over_time": 2}


def test_all_are_known() -> None:
    assert {each.stem for each in FOLDER.glob("*.ipynb")} == set(PICTURES)


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
@pytest.mark.parametrize(
    "name",
    [
        "explore",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("cluster", "inside", "over_time")
        ),
    ],
)
def test_a_notebook_runs(name: str, tmp_path: Path) -> None:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, tmp_path / "executed.ipynb")  # type: ignore[no-untyped-call]
    outputs = [output for cell in code for output in cell.outputs]
    pictures = [each for each in outputs if "image/png" in each.get("data", {})]
    assert len(pictures) == PICTURES[name]
    assert not [each for each in outputs if each.get("name") == "stderr"], outputs
