"""The page of a benchmark's report: tables and pictures in a folder, and the README's figures.

    python -m daskingest.benchmarks.page performance README.md

puts what the folder's report says into the README, between two comments.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from daskingest.benchmarks.chart import Panel, png, svg
from daskingest.benchmarks.expected import CORES, SIZE
from daskingest.errors import UsageError
from daskingest.text import size_text, time_text

REPORT, PAGE = "run.json", "README.md"
BEGIN, END = "<!-- figures: made by `make performance` -->", "<!-- end of figures -->"

Report = Mapping[str, Any]
Row = Mapping[str, float]

_PICTURES = {
    "input": ("size of the input, MB", "bytes", 1e6),
    "store": ("words in the store, millions", "rows", 1e6),
    "workers": ("workers", "workers", 1),
}
"""By what grows: the x axis, which column it is, and its unit."""


def read_report(file: Path) -> dict[str, Any]:
    """What `bench --json` has printed. Raises UsageError if a file has something else."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    if not isinstance(report, dict) or "words_per_second" not in report:
        raise UsageError(f"{file} is not a benchmark's report: expected what `bench --json` prints")
    return report


def write_page(report: Report, folder: Path) -> None:
    """Write the report, the page and its pictures. Raises DaskingestError without matplotlib."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in report["growth"]:
        title, x_axis, panels = picture(name, report["growth"][name])
        (folder / f"{name}.svg").write_text(svg(title, x_axis, panels), encoding="utf-8")
        (folder / f"{name}.png").write_bytes(png(title, x_axis, panels))
    (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(page(report), encoding="utf-8")


def page(report: Report) -> str:
    """The page, as Markdown."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"size": size_text, "time": time_text}
    template = environment.get_template("page.md.jinja")
    return template.render(
        report,
        head=measured_on(report),
        ratios={name: report[name] for name in report["spread"]},
        figures=figures(report),
        SIZE=SIZE,
        CORES=CORES,
    )


def measured_on(report: Report) -> str:
    """When and with what, in a sentence; and the report's `note`, if somebody put one into it."""
    on, note = report["machine"], f" {report['note']}" if "note" in report else ""
    return (
        f"Measured on {report['date']} with {report['corpus']}, on {on['cores']} cores of "
        f"{on['processor']}, Python {on['python']}, spaCy {on['spacy']}, numpy {on['numpy']} "
        f"({on['blas']})" + (", by the quick suite." if report["quick"] else ".") + note
    )


def figures(report: Report) -> dict[str, float]:
    """The report's figures that have no turns, by name."""
    ratios = {*report["spread"], "recognizer_words_per_second"}
    return {
        name: each
        for name, each in report.items()
        if isinstance(each, int | float) and not isinstance(each, bool) and name not in ratios
    }


def readme_figures(report: Report) -> str:
    """The part of the README that has figures."""
    rates, spread = report["words_per_second"], report["spread"]
    cores = report["machine"]["cores"]
    lines = [f"{measured_on(report)} Words of text per second:", ""]
    lines += ["| what | words/s |", "| --- | ---: |"]
    lines += [f"| {shown(name, cores)} | {rate:,} |" for name, rate in rates.items()]
    lines += ["", "| ratio, the median of turns | | quartiles |", "| --- | ---: | ---: |"]
    for name, (low, high) in spread.items():
        lines.append(f"| `{name}` | {report[name]:.2f} | {low:.2f} to {high:.2f} |")
    return "\n".join(lines)


def shown(name: str, cores: int) -> str:
    """What was measured, as the README calls it."""
    return {
        "recognizer": "daskingest's recognizer, one process",
        "bare products": "the model's matrix products alone, by numpy",
        "recognizer as a component": "the recognizer as a component of a spaCy pipeline",
        "tokenizer": "spaCy's tokenizer alone",
        "nlp.pipe, ner only": "spaCy's `nlp.pipe`, `ner` only",
        "nlp.pipe, whole pipeline": "spaCy's `nlp.pipe`, whole pipeline",
        "older design": "`nlp(text)`, whole pipeline, one text at a time",
        "run-csv": f"`run-csv`, {cores} workers, start-up excluded",
        "nlp.pipe in processes": f"spaCy's `nlp.pipe(n_process={cores})`, `ner` only",
        "older design in processes": f"the older design, {cores} workers",
    }.get(name, name if "," in name else f"{name}, {cores} processes, `ner` only")


def with_figures(readme: str, report: Report) -> str:
    """The README with the report's figures. Raises ValueError without the two comments."""
    before, _, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the README has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{readme_figures(report)}\n{END}{after}"


def picture(name: str, rows: Sequence[Row]) -> tuple[str, str, list[Panel]]:
    """Title, x axis and panels of what grows with something."""
    x_axis, column, unit = _PICTURES[name]

    def line(values: str, by: float = 1) -> list[tuple[float, float]]:
        return [(row[column] / unit, row[values] / by) for row in rows]

    memory = Panel("memory, MiB", {"all processes": line("memory", 2**20)})
    if name == "store":
        cost = Panel("µs of processor time a counter", {"commit": line("cpu_microseconds")})
        size = Panel("size of the store, MiB", {"store": line("bytes", 2**20)})
        return "Commits into a store that grows", x_axis, [cost, size, memory]
    if name == "workers":
        speed = Panel("MB a second", {"run-csv": line("bytes_per_second", 1e6)})
        return "run-csv with more workers", x_axis, [speed, memory]
    seconds = Panel("seconds, start-up excluded", {"run-csv": line("seconds")})
    return "run-csv with more input", x_axis, [seconds, memory]


def main() -> None:
    """See the module."""
    folder, readme = (Path(each) for each in sys.argv[1:])
    text = with_figures(readme.read_text(encoding="utf-8"), read_report(folder / REPORT))
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
