"""The reference of all options: `python -m daskingest.cli.reference` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text
from typer.main import get_command

from daskingest.cli.app import app

_HEAD = """\
# All options

Each option of each command can come from the environment: `DASKINGEST_STORE=sqlite:////data/news.db`
is `--store sqlite:////data/news.db`. What is given on the command line counts. A variable means the
same to all commands (but for `--url`), so that one file, such as `/etc/daskingest.env`, can hold
those of a machine.
An option without a value is turned on by `1` and off by `0`.

This file is made by `python -m daskingest.cli.reference > cluster/CONFIGURATION.md`.
"""

_OTHERS = """\
## Other variables

| variable | commands | what it does |
| --- | --- | --- |
| `DASKINGEST_API_KEY` | serve, explore, doctor | The keys, with commas between them: writing to \
the service needs one, with `--private` reading too, and `explore` asks for one. |
| `FIRESTORE_EMULATOR_HOST` | all with `--store` | `HOST:PORT` of an emulator, which \
`firestore://` stores are then in. |
| `GOOGLE_APPLICATION_CREDENTIALS` | all with `--store` | The key file of the service account for \
`firestore://` stores; else what `gcloud auth application-default login` left. |
| `NUMBA_CACHE_DIR` | run-csv, serve, bench | The folder for the recognizer's compiled loops. Else \
they are kept beside the program or, if that can't be written to, in the user's cache. |
"""


@dataclass(slots=True)
class ReferenceEntry:
    """An option, the commands that have it, and its default in each."""

    name: str
    variable: str | None
    help: str
    defaults: dict[str, str] = field(default_factory=dict)


def options() -> dict[str, list[ReferenceEntry]]:
    """The options of all commands, by name: one for each variable and text of help."""
    found: dict[str, list[ReferenceEntry]] = {}
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    for command, its in commands.items():
        for parameter in its.params:
            if parameter.param_type_name != "option" or parameter.name == "help":
                continue
            option = ReferenceEntry(parameter.opts[0], parameter.envvar, _plain(parameter.help))
            same = found.setdefault(option.name, [])
            option = next((each for each in same if each.help == option.help), option)
            option.defaults[command] = _default(parameter)
            if option not in same:
                same.append(option)
    return found


def reference() -> str:
    """The reference, in Markdown."""
    return "\n".join((_HEAD, *_table(), "", _OTHERS))


def _table() -> Iterator[str]:
    yield "| option | variable | commands | default | what it does |"
    yield "| --- | --- | --- | --- | --- |"
    for _, same in sorted(options().items(), key=lambda item: item[0].lstrip("-")):
        for each in same:
            cells = (
                f"`{each.name}`",
                f"`{each.variable}`",
                ", ".join(each.defaults),
                _defaults(each.defaults),
                each.help.replace("|", r"\|"),
            )
            yield f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Help without the markup that is for the terminal."""
    return Text.from_markup(text).plain


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.is_flag:
        return "off"
    value = parameter.default
    return "" if value is None else f"`{getattr(value, 'value', value)}`"


def _defaults(by_command: dict[str, str]) -> str:
    """The default, or the most usual and those of the commands that have another."""
    values = list(by_command.values())
    usual = max(values, key=values.count)
    others = [f"{command}: {value}" for command, value in by_command.items() if value != usual]
    return "; ".join((usual, *others))


if __name__ == "__main__":
    print(reference(), end="")
