"""A bar for each of several things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from daskingest.web.pictures.picture import (
    Canvas,
    Drawing,
    Picture,
    amount,
    joined,
    link,
    mark,
    plain,
    text,
)
from daskingest.web.wording import short

_ROW = 22
_NAMES = {True: (130, 17), False: (210, 28)}  # room for names, and their characters; if narrow
_VALUES = 60  # room for a value beside the longest bar


@dataclass(frozen=True, slots=True)
class Bar:
    """What a bar shows, and the address it leads to."""

    name: str
    value: float
    href: str


def bars(several: Sequence[Bar], what: str) -> Picture | None:
    """A bar for each, from zero, with its value beside it. None: there are none."""
    if not several:
        return None
    highest = max(each.value for each in several) or 1.0

    def draw(canvas: Canvas) -> Drawing:
        names, characters = _NAMES[canvas.narrow]
        room = canvas.width - names - _VALUES
        parts = []
        for place, each in enumerate(several):
            y, long = place * _ROW, room * each.value / highest
            told = f"{short(each.name, 60)}: {amount(each.value)}"
            shape = Markup('rect x="{}" y="{}" width="{}" height="{}"').format(
                names, plain(y + 3), plain(max(long, 0.5)), _ROW - 6
            )
            name = text(names - 8, y + 15, short(each.name, characters), "bar-name")
            value = text(names + long + 6, y + 15, amount(each.value), "start")
            if canvas.linked:
                inside = Markup('<rect class="hit" y="{}" width="{}" height="{}"/><{}/>').format(
                    y, canvas.width, _ROW, shape
                )
                parts += [link(each.href, told, inside), name, value]
            else:
                parts += [mark(shape, told, False), name, value]
        return Drawing(
            _ROW * len(several), joined([Markup('<g class="filled">'), *parts, Markup("</g>")])
        )

    first = several[0]
    return Picture(f"{what}; first {short(first.name, 60)}, {amount(first.value)}", draw)
