"""Options made from settings: a command's function declares the settings it takes."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import keyword
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from daskingest.cli.exit_codes import ExitCode
from daskingest.settings import Option

AsJson = Annotated[bool, Option("Print JSON.", name="--json")]
Strict = Annotated[bool, Option("Exit with 3 if there are rejects.")]
NoProgress = Annotated[bool, Option("Print only the summary, warnings and errors, no progress.")]

Values = dict[str, Any]
"""The values given, by the names of Typer's parameters."""


def with_options(work: Callable[..., ExitCode | None]) -> Callable[..., None]:
    """A command for Typer that makes settings from its options and calls `work` with them.

    Each parameter of `work` is one of three: a settings class, whose fields with an `Option` become
    options (with their defaults from the parameter's default, if it has one); a value with an
    `Option`; or one of Typer's own arguments. `work` returns the exit code; None is success.
    """
    hints = get_type_hints(work, include_extras=True)
    bindings = {
        name: _Binding.of(hints[name], name, parameter.default)
        for name, parameter in inspect.signature(work).parameters.items()
    }

    @functools.wraps(work)
    def command(**values: Any) -> None:
        code = work(**{name: each.made_from(values) for name, each in bindings.items()})
        if code:
            raise typer.Exit(code)

    parameters = [parameter for each in bindings.values() for parameter in each.parameters]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


@dataclasses.dataclass(frozen=True, slots=True)
class _Binding:
    """Typer's parameters for a parameter of a command's function, and how to make its value."""

    parameters: list[inspect.Parameter]
    made_from: Callable[[Values], Any]

    @classmethod
    def of(cls, hint: Any, name: str, default: Any) -> _Binding:
        """For the parameter of this name, type and default."""
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            settings = hint() if default is inspect.Parameter.empty else default
            return cls.of_settings(settings)
        option = _option_in(hint)
        if option is None:
            return cls([_parameter(name, hint, default)], lambda values: values[name])
        parameter = _option_parameter(option, name, hint, default)
        return cls([parameter], lambda values: _plain(option, values[parameter.name]))

    @classmethod
    def of_settings(cls, settings: Any) -> _Binding:
        """For a settings class with these defaults."""
        found = {
            name: (option, _option_parameter(option, name, hint, getattr(settings, name)))
            for name, hint, option in _options_of(type(settings))
        }

        def made_from(values: Values) -> Any:
            given = {
                name: _plain(option, values[parameter.name])
                for name, (option, parameter) in found.items()
            }
            return dataclasses.replace(settings, **given)

        return cls([parameter for _, parameter in found.values()], made_from)


def _options_of(kind: type) -> Iterator[tuple[str, Any, Option]]:
    """The fields that are options, in order: name, type and option."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if option := _option_in(hint):
            yield name, hint, option


def _option_in(hint: Any) -> Option | None:
    found = getattr(hint, "__metadata__", ())
    return next((each for each in found if isinstance(each, Option)), None)


def _option_parameter(option: Option, field: str, hint: Any, default: Any) -> inspect.Parameter:
    """The parameter from which Typer makes the option."""
    kind, *_ = get_args(hint)
    if option.is_path:
        kind = Path if kind is str else Path | None
        default = None if default is None else Path(default)
    name, variable = option.name_for(field), option.variable_for(field)
    info = typer.Option(
        name,
        envvar=variable,
        help=option.help,
        min=option.min,
        max=option.max,
        show_default=True if option.shown is None else option.shown,
        case_sensitive=False,
    )
    parameter = variable.removeprefix("DASKINGEST_").lower()
    parameter += "_" * keyword.iskeyword(parameter)
    return _parameter(parameter, Annotated[kind, info], default)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _plain(option: Option, value: Any) -> Any:
    """The value as the settings hold it: paths as text."""
    return str(value) if option.is_path and value is not None else value
