"""What a setting is as an option of the command line."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """What the command line needs to know about a setting besides its type and default.

    The option's name is `--` and the field's name, unless `name` is given: `--json`, or
    `--gzip/--no-gzip` for an option that can also be turned off.
    """

    help: str
    _: KW_ONLY
    name: str = ""
    min: float | None = None
    max: float | None = None
    shown: str | None = None
    """What the help shows as the default, if the value itself doesn't say it."""
    variable: str = ""
    """The environment variable, if it is not that of the name."""
    is_path: bool = False
    """Whether the text names a file or a folder."""

    def name_for(self, field: str) -> str:
        """The option's name, for a field of this name."""
        return self.name or "--" + field.replace("_", "-")

    def variable_for(self, field: str) -> str:
        """The environment variable that can set it."""
        if self.variable:
            return self.variable
        name = self.name_for(field).partition("/")[0].lstrip("-")
        return "DASKINGEST_" + name.upper().replace("-", "_")
