"""Word clouds as SVG: the most frequent words of a publication, none over another.

Where words go is computed here and depends on nothing but them, so that a cloud is the same each
time. No font is known here: how wide a word is, is estimated, and `textLength` makes whatever font
the reader has keep to that.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from daskingest.stores import Word
from daskingest.web.wording import kind, number, short

WIDTH, HEIGHT = 320, 180
"""Of a cloud, in its own units: pixels, where it is as wide as a narrow phone."""

_FILLED = 0.7  # of the area, at most: more, and the last words find no place
_LARGEST, _SMALLEST = 46.0, 11.0  # sizes of text
_TALL, _BASELINE = 1.12, 0.85  # a word's box and its baseline, in sizes of its text
_GAP = 5.0  # units between words that stand beside each other
_LONGEST = 28  # characters
_STEP = 3  # units between places that are tried

_NARROW, _WIDE = frozenset("iIjlt.,:;'’|!()[]-/rf "), frozenset("mwMW@%&")  # noqa: RUF001
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NUMBERS = ("PERCENT", "QUANTITY")

_STYLE = (
    "text{font-family:system-ui,sans-serif;text-anchor:middle;unicode-bidi:plaintext}"
    "a{text-decoration:none}.ground{fill:#fff}.person{fill:#a03a19}.org{fill:#1f5c93}"
    ".place{fill:#2f6b2c}.group{fill:#6b3fa0}.other{fill:#6d5800}"
    "@media(prefers-color-scheme:dark){.ground{fill:#1e2125}.person{fill:#f0a07f}"
    ".org{fill:#8dbdea}.place{fill:#93cf8d}.group{fill:#c7a6f0}.other{fill:#d9c36a}}"
)
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""What a Content-Security-Policy has to allow, so that a cloud that is opened alone has colours."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A word at its place: the middle of its box, the box, and the size of its text."""

    word: Word
    text: str
    x: float
    y: float
    width: float
    height: float
    size: float


def names(words: Sequence[Word], most: int) -> list[Word]:
    """The first of the words, without what is mostly a number: it says not who or what."""
    return [each for each in words if label_of(each) not in _NUMBERS][:most]


def label_of(word: Word) -> str:
    """The label that a word has most often; empty if it has none."""
    return max(word.labels, key=lambda each: (word.labels[each], each), default="")


def place(words: Sequence[Word]) -> list[Placed]:
    """Places for words, which come by count descending: no two overlap, and all are inside.

    The area of a letter grows with the word's count, but for the least frequent words, which are as
    large as the smallest that can be read. Words that find no place are left out, never the first.
    """
    texts = [_UNPRINTABLE.sub("\ufffd", short(each.name, _LONGEST)) for each in words]
    sizes = _sizes(texts, [each.count for each in words])
    free = _candidates()
    placed: list[Placed] = []
    for word, text, size in zip(words, texts, sizes, strict=True):
        wide, tall = width_of(text) * size + _GAP, _TALL * size
        x, y = free[:, 0], free[:, 1]
        fits = (np.minimum(x, WIDTH - x) >= wide / 2) & (np.minimum(y, HEIGHT - y) >= tall / 2)
        for other in placed:
            apart_x = np.abs(x - other.x) >= (wide + other.width) / 2
            fits &= apart_x | (np.abs(y - other.y) >= (tall + other.height) / 2)
        if not fits.any():
            continue
        best = int(fits.argmax())
        found = Placed(word, text, float(x[best]), float(y[best]), wide, tall, size)
        placed.append(found)
        beside = (np.abs(x - found.x) >= wide / 2) | (np.abs(y - found.y) >= tall / 2)
        free = free[beside]
    return placed


def width_of(text: str) -> float:
    """About how wide a text is, in sizes of its letters."""
    return max(sum(map(_advance, text)), 0.3)


def _advance(char: str) -> float:
    if char in _NARROW:
        return 0.36
    if char in _WIDE or unicodedata.east_asian_width(char) in "WF":
        return 1.0
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0.0
    return 0.7 if char.isupper() else 0.6


def _sizes(texts: Sequence[str], counts: Sequence[int]) -> list[float]:
    """The sizes of texts, by the square roots of their counts."""
    if not texts:
        return []
    roots = [math.sqrt(each / counts[0]) for each in counts]
    widths = [width_of(each) for each in texts]
    scale = min(_LARGEST, 0.9 * WIDTH / widths[0])

    def area(scale: float) -> float:
        sizes = (max(_SMALLEST, scale * root) for root in roots)
        boxes = zip(sizes, widths, strict=True)
        return sum(_TALL * size * (size * width + _GAP) for size, width in boxes)

    while scale > _SMALLEST and area(scale) > _FILLED * WIDTH * HEIGHT:
        scale *= 0.95
    most = (0.9 * WIDTH / width for width in widths)  # what is inside even if it is long
    return [min(max(_SMALLEST, scale * root), wide) for root, wide in zip(roots, most, strict=True)]


@functools.cache
def _candidates() -> NDArray[np.float64]:
    """Places to try, from the middle outwards, in ellipses as wide as the cloud."""
    x, y = np.meshgrid(np.arange(0, WIDTH + 1, _STEP), np.arange(0, HEIGHT + 1, _STEP))
    places = np.column_stack([x.ravel(), y.ravel()]).astype(np.float64)
    away = ((places / (WIDTH, HEIGHT) - 0.5) ** 2).sum(axis=1)
    return places[np.argsort(away, kind="stable")]


def cloud(words: Sequence[Word], what: str) -> Markup:
    """The picture, whose words are links to their pages; `what` says what it shows.

    It has colours of its own, for light and for dark pages, but where a page's own styles apply.
    """
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="cloud" viewBox="0 0 {w} {h}" width="{w}" '
        'height="{h}" role="group" aria-label="{what}"><style>{style}</style>'
        '<rect class="ground" width="{w}" height="{h}"/>'
    ).format(w=WIDTH, h=HEIGHT, what=_UNPRINTABLE.sub("\ufffd", what), style=Markup(_STYLE))
    parts = [_drawn(each) for each in place(words)]
    if not parts:
        parts = [Markup('<text class="other" x="{}" y="{}">no names yet</text>').format(160, 95)]
    return Markup("").join([head, *parts, Markup("</svg>")])


def _drawn(placed: Placed) -> Markup:
    word = placed.word
    whole = _UNPRINTABLE.sub("\ufffd", short(word.name))
    mentions = f"{number(word.count)} mention{'' if word.count == 1 else 's'}"
    return Markup(
        '<a href="word?{}" aria-label="{}, {mentions}"><title>{}, {mentions}</title>'
        '<text class="{}" x="{:.1f}" y="{:.1f}" font-size="{:.1f}" textLength="{:.1f}" '
        'lengthAdjust="spacingAndGlyphs">{}</text></a>'
    ).format(
        *(urlencode({"word": word.word}), placed.text, whole),
        *(kind(label_of(word)), placed.x, placed.y - placed.height / 2 + _BASELINE * placed.size),
        *(placed.size, placed.width - _GAP, placed.text),
        mentions=mentions,
    )
