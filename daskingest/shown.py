"""The options of what shows counts: of which months, and which words are counted as one."""

from __future__ import annotations

from typing import Annotated

from daskingest.option import Option

NEWS, NO_ALIASES = "news", "none"
"""Aliases: those of the list that is shipped, and none."""

Since = Annotated[
    str | None, Option("Only what was published from this month on, such as 2016-06.", shown="all")
]
Until = Annotated[str | None, Option("Only what was published up to this month.", shown="all")]
Aliases = Annotated[
    str,
    Option(
        "Which words are counted as one: `news`, a short list of names that comes with it; a CSV "
        "file with the columns word and name; or `none`. Nothing that is stored changes."
    ),
]
