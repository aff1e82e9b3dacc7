"""A picture: drawn as wide as there is room for, within a page or in a file of its own."""

from __future__ import annotations

import functools
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from daskingest.web.wording import number

BROAD, NARROW = 800, 400
"""The widths that pictures are drawn in."""

FEW = 100
"""Marks that are no burden to whoever goes through a page with the keyboard alone."""

_STATIC = Path(__file__).parent.parent / "static"
_MARGIN, _TITLE_LINE, _FOOT = 16, 22, 26  # of a picture that stands alone
_TITLE_CHARACTERS, _SOURCE_CHARACTERS = 84, 130  # that fit on a line
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a picture is drawn on: its width, and whether its marks are links of the page."""

    width: int
    linked: bool = True

    @property
    def narrow(self) -> bool:
        """Whether there is little room."""
        return self.width < BROAD


@dataclass(frozen=True, slots=True)
class Drawing:
    """What was drawn, and its height."""

    height: float
    content: Markup


@dataclass(frozen=True, slots=True)
class Picture:
    """What it tells as a whole, and how it is drawn. In a template it is shown as it is."""

    told: str
    draw: Callable[[Canvas], Drawing]
    ranged: bool = False
    """Whether marks can be chosen from one to another, as months."""

    def __html__(self) -> str:
        """Both drawings, of which the window shows one, and room for what a mark tells."""
        drawn = [self._inline(Canvas(BROAD), "broad"), self._inline(Canvas(NARROW), "narrow")]
        return Markup(
            '<div class="pictured">{}<p class="tells" aria-hidden="true" hidden></p></div>'
        ).format(Markup("").join(drawn))

    def _inline(self, canvas: Canvas, name: str) -> Markup:
        drawn = self.draw(canvas)
        return Markup(
            '<svg class="picture {}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" '
            'role="group" aria-label="{}"{}>{}</svg>'
        ).format(
            *(name, canvas.width, plain(drawn.height), self.told),
            *(Markup(" data-range") if self.ranged else "", drawn.content),
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its title, and a line that says what was counted."""

    title: str
    picture: Picture
    source: str

    def alone(self) -> bytes:
        """The figure as an SVG file, on white, with its own styles, that any program draws."""
        drawn = self.picture.draw(Canvas(BROAD, linked=False))
        title = textwrap.wrap(self.title, _TITLE_CHARACTERS, max_lines=2, placeholder=" …")
        top = _MARGIN + _TITLE_LINE * len(title)
        width, height = BROAD + 2 * _MARGIN, top + drawn.height + _FOOT + _MARGIN
        lines = [
            Markup('<text class="title" x="{}" y="{}">{}</text>').format(
                _MARGIN, _MARGIN + _TITLE_LINE * place + 12, line
            )
            for place, line in enumerate(title)
        ]
        source = textwrap.shorten(self.source, _SOURCE_CHARACTERS, placeholder=" …")
        text = Markup(
            '<svg class="picture" xmlns="http://www.w3.org/2000/svg" width="{width}" '
            'height="{height}" viewBox="0 0 {width} {height}" role="group" aria-label="{told}">\n'
            '<style>{styles}</style>\n<rect class="ground" width="{width}" height="{height}"/>\n'
            '{title}<g transform="translate({margin} {top})">{content}</g>\n'
            '<text class="source" x="{margin}" y="{foot}">{source}</text>\n</svg>\n'
        ).format(
            width=plain(width),
            height=plain(height),
            told=f"{self.title}. {self.picture.told}",
            styles=Markup(styles()),
            title=Markup("").join(lines),
            margin=_MARGIN,
            top=plain(top),
            content=drawn.content,
            foot=plain(height - _MARGIN),
            source=source,
        )
        return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text).encode()


@functools.cache
def styles() -> str:
    """The styles of pictures, with the colours of a light page written out: not all programs that
    draw SVG know variables."""
    page = (_STATIC / "style.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]+)", page.split("@media")[0]))
    own = (_STATIC / "picture.css").read_text(encoding="utf-8")
    return re.sub(r"var\(--([a-z0-9]+)\)", lambda found: light[found[1]], own)


def mark(shape: Markup, told: str, focus: bool) -> Markup:
    """A shape that tells something, and is reached by keyboard if it is to get the `focus`.

    `shape` is an element with its attributes, as `circle r="3"`.
    """
    name = shape.partition(" ")[0]
    reached = Markup(' tabindex="0"') if focus else ""
    return Markup('<{} class="mark" role="img"{}><title>{}</title></{}>').format(
        shape, reached, told, name
    )


def link(href: str, told: str, inside: Markup, attributes: str = "") -> Markup:
    """A part of a picture that leads somewhere."""
    return Markup('<a class="mark" href="{}"{}>{}<title>{}</title></a>').format(
        href, attributes, inside, told
    )


def text(x: float, y: float, what: str, name: str) -> Markup:
    """Text at a place, of a class."""
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(name, plain(x), plain(y), what)


def joined(parts: Iterable[Markup]) -> Markup:
    """One after the other."""
    return Markup("").join(parts)


def plain(value: float) -> str:
    """A coordinate, as short as it can be written."""
    return f"{value:.1f}".removesuffix(".0")


def amount(value: float) -> str:
    """A value, for people."""
    return number(int(value) if float(value).is_integer() else value)


def width_of(what: str, size: float) -> float:
    """About how wide a text is; no font is asked, so that pictures are the same everywhere."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in what)
    return size * (0.6 * len(what) + 0.45 * wide)
