"""Words of two publications, placed by how frequent and how typical of one of them they are.

As Monroe, Colaresi and Quinn draw it ("Fightin' Words", figure 4): across, how often a word occurs
in both together; upwards, its z-score.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from daskingest.web.keyness import CHANCE
from daskingest.web.pictures.axes import rounds_between
from daskingest.web.pictures.picture import (
    BROAD,
    Canvas,
    Drawing,
    Picture,
    amount,
    joined,
    mark,
    plain,
    text,
    width_of,
)
from daskingest.web.wording import short

_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 480, 44, 16, 28, 40
_MARKED = 50  # words on each side that tell themselves
_NAMED = {True: 12, False: 28}  # of those, words on each side that are named, if narrow and if not
_SIZE, _NAME = 11, 24  # of a name: pixels, and characters at most
_RADIUS = 4


@dataclass(frozen=True, slots=True)
class Placed:
    """A word: how often it occurs in each of the two, and its z-score, above zero for the first."""

    name: str
    first: int
    second: int
    z: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, for what must not be over each other."""

    left: float
    top: float
    right: float
    bottom: float

    def over(self, other: Box) -> bool:
        """Whether the two have a place in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Whether all of it is in the other one."""
        return (
            self.left >= other.left
            and self.top >= other.top
            and self.right <= other.right
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where a count and a z-score are."""

    low: float
    high: float
    most: float
    room: Box

    def x(self, count: float) -> float:
        part = math.log(max(count, self.low) / self.low) / math.log(self.high / self.low)
        return self.room.left + part * (self.room.right - self.room.left)

    def y(self, z: float) -> float:
        middle = (self.room.top + self.room.bottom) / 2
        return middle - z / self.most * (self.room.bottom - self.room.top) / 2


def log_odds(words: Sequence[Placed], first: str, second: str) -> Picture | None:
    """The words, those above of `first` and those below of `second`; the strongest are named.

    None: there are none.
    """
    if not words:
        return None
    most = max(CHANCE * 1.5, *(abs(each.z) for each in words)) * 1.05
    often = [each.first + each.second for each in words]
    low, high = 0.8 * min(often), 1.5 * max(often)

    def draw(canvas: Canvas) -> Drawing:
        room = Box(_LEFT, _TOP, canvas.width - _RIGHT, _HEIGHT - _BOTTOM)
        plane = _Plane(low, high, most, room)
        parts = [*_ground(plane, canvas), *_sides(plane, first, second)]
        for place, side in enumerate((1, -1)):
            its = sorted((e for e in words if e.z * side > 0), key=lambda e: (-abs(e.z), e.name))
            parts.append(Markup('<g class="placed series-{}">').format(place))
            parts.append(_faint(plane, its[_MARKED:]))
            parts += [_mark(plane, each, first, second) for each in its[:_MARKED]]
            parts += _named(plane, its[: _NAMED[canvas.narrow]], side)
            parts.append(Markup("</g>"))
        return Drawing(_HEIGHT, joined(parts))

    told = f"{len(words)} words of {short(first, 60)}, above, and {short(second, 60)}, below"
    return Picture(told, draw)


def _ground(plane: _Plane, canvas: Canvas) -> Iterator[Markup]:
    room = plane.room
    for z, kind in ((0.0, "grid"), (CHANCE, "chance"), (-CHANCE, "chance")):
        yield Markup('<line class="{}" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
            kind, plain(room.left), plain(room.right), y=plain(plane.y(z))
        )
        yield text(room.left - 6, plane.y(z) + 4, f"{z:.2f}" if z else "z 0", "value")
    for count in rounds_between(plane.low, plane.high):
        yield text(plane.x(count), room.bottom + 16, amount(count), "month")
    what = "mentions in both together (logarithmic)"
    yield text((room.left + room.right) / 2, room.bottom + 34, what, "month")


def _sides(plane: _Plane, first: str, second: str) -> Iterator[Markup]:
    characters = 60 if plane.room.right > BROAD / 2 else 40
    for place, (name, y) in enumerate(((first, _TOP - 12), (second, plane.room.bottom - 4))):
        told = f"more in {short(name, characters)}"
        yield Markup('<g class="series-{}">{}</g>').format(
            place, text(plane.room.left, y, told, "side")
        )


def _faint(plane: _Plane, words: Sequence[Placed]) -> Markup:
    """The weaker words, as dots of one path."""
    dots = "".join(
        f"M{plain(plane.x(each.first + each.second))} {plain(plane.y(each.z))}h0" for each in words
    )
    return Markup('<path class="faint" d="{}"/>').format(dots) if dots else Markup()


def _mark(plane: _Plane, word: Placed, first: str, second: str) -> Markup:
    told = (
        f"{short(word.name, 60)}: {amount(word.first)} in {short(first, 40)}, "
        f"{amount(word.second)} in {short(second, 40)}; z {abs(word.z):.1f}"
    )
    x, y = plane.x(word.first + word.second), plane.y(word.z)
    shape = Markup('circle cx="{}" cy="{}" r="{}"').format(plain(x), plain(y), _RADIUS)
    return mark(shape, told, True)


def _named(plane: _Plane, named: Sequence[Placed], side: int) -> Iterator[Markup]:
    """The names, the strongest words' first, where there is room for them."""
    dots = [_dot(plane, each) for each in named]
    taken: list[Box] = []
    middle = plane.y(0)
    half = (plane.room.top, middle) if side > 0 else (middle, plane.room.bottom - 16)
    room = Box(plane.room.left, half[0], plane.room.right + 8, half[1])
    for own, word in enumerate(named):
        name = short(word.name, _NAME)
        x, y = plane.x(word.first + word.second), plane.y(word.z)
        others = [*taken, *dots[:own], *dots[own + 1 :]]
        for near, box in _places(x, y, width_of(name, _SIZE)):
            if box.inside(room) and not any(box.over(each) for each in others):
                taken.append(box)
                if not near:
                    yield _leader(x, y, box)
                yield text(box.left + 1, box.bottom - 3, name, "start")
                break


def _leader(x: float, y: float, box: Box) -> Markup:
    """A line from a dot to its name, which is not beside it."""
    to = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
    return Markup('<line class="leader" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        plain(x), plain(y), plain(to[0]), plain(to[1])
    )


def _dot(plane: _Plane, word: Placed) -> Box:
    x, y = plane.x(word.first + word.second), plane.y(word.z)
    return Box(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS)


def _places(x: float, y: float, width: float) -> Iterator[tuple[bool, Box]]:
    """Where a name can be, and whether that is beside its dot."""
    high, gap = _SIZE + 2, _RADIUS + 1
    for far in (0, 14, 26):
        for left, top in (
            (x + gap + far, y - high / 2),
            (x - gap - far - width, y - high / 2),
            (x - width / 2, y - gap - high - far),
            (x - width / 2, y + gap + far),
            (x + far, y - gap - high - far / 2),
            (x + far, y + gap + far / 2),
            (x - far - width, y - gap - high - far / 2),
            (x - far - width, y + gap + far / 2),
        ):
            yield far == 0, Box(left, top, left + width + 2, top + high)
