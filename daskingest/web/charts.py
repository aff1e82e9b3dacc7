"""Word clouds."""

from __future__ import annotations

import functools
import io

from daskingest.web.wording import short

_CLOUD_COLOURS = ("#b4532f", "#3f78ab", "#4c8a48", "#8660b3", "#947a1f")  # on white and on black
_CLOUD_SIZE = (800, 320)


@functools.lru_cache(100)
def cloud(words: tuple[tuple[str, int], ...]) -> bytes:
    """A word cloud as PNG, with a transparent background; the same each time."""
    import random

    from wordcloud import WordCloud

    chosen = random.Random(0)
    width, height = _CLOUD_SIZE
    picture = WordCloud(
        width=width,
        height=height,
        mode="RGBA",
        background_color=None,
        random_state=1,
        prefer_horizontal=1.0,
        color_func=lambda *args, **more: chosen.choice(_CLOUD_COLOURS),
    ).generate_from_frequencies({short(word, 40): count for word, count in words})
    out = io.BytesIO()
    picture.to_image().save(out, "PNG")
    return out.getvalue()
