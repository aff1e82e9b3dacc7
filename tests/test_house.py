"""The shape of the house: imports go down between the layers, and no room grows too large."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "daskingest"

LAYERS = (
    (
        *(
            "errors",
            "text",
            "grouping",
            "option",
            "shown",
            "shared_options",
            "settings",
            "logs",
            "progress",
            "proxies",
            "files",
            "resources",
            "sqlite_file",
            "spelling",
            "months",
        ),
        *("articles", "jsontext", "compiling", "merging", "packed", "counts", "tally", "shards"),
        "ledger",
    ),
    ("recognizer", "pipes"),
    ("models",),
    ("extraction", "sources", "stores"),
    ("publishing",),
    ("pipeline", "sample"),
    ("service",),
    ("web", "upload", "download", "doctor"),
    ("notebook", "benchmarks"),
    ("cli",),
    ("__init__", "__main__"),
)
"""From the ground up. In the first one all may use each other, further up each room only what is
below it."""

LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_FIELDS = 400, 50, 12
MANY_FIELDS = {"settings.py", "ledger.py", "service/metrics.py"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def room_of(name: str) -> str:
    """The folder, or the module at the top."""
    return name.split("/")[0].removesuffix(".py")


def imports(module: ast.Module) -> Iterator[str]:
    """The rooms that a module imports from, wherever in it that stands."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{each.name}" for each in node.names]
            names = inside if node.module == "daskingest" else [node.module or ""]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "daskingest" and rest not in ("", "__version__"):
                yield rest.split(".")[0]


def test_imports_go_down() -> None:
    wrong = []
    for name, module in modules():
        here = room_of(name)
        for room in imports(module):
            below = LEVEL[room] < LEVEL[here] or LEVEL[here] == LEVEL[room] == 0
            if room != here and not below:
                wrong.append(f"{name} imports from {room}")
    assert not wrong


def test_no_module_is_too_long() -> None:
    lengths = {each: len((PACKAGE / each).read_text().splitlines()) for each, _ in modules()}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


def test_no_function_is_too_long() -> None:
    found = {}
    for name, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    found[f"{name}:{node.name}"] = lines
    assert found == {}


def test_no_class_has_too_many_fields() -> None:
    found = {}
    for name, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef) and name not in MANY_FIELDS:
                fields = set(fields_of(node))
                if len(fields) > MOST_FIELDS:
                    found[f"{name}:{node.name}"] = len(fields)
    assert found == {}


def fields_of(node: ast.ClassDef) -> Iterator[str]:
    """What an object of the class holds: the fields of a dataclass, what `__init__` sets."""
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            yield each.target.id
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            for inner in ast.walk(each):
                if not isinstance(inner, ast.Attribute) or not isinstance(inner.ctx, ast.Store):
                    continue
                if isinstance(inner.value, ast.Name) and inner.value.id == "self":
                    yield inner.attr
