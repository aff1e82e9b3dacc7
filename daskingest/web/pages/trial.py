"""An article to try: shows the entities in a text, which is neither counted nor kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.responses import Response

from daskingest.service.trials import MAX_TEXT
from daskingest.text import EntitySpan
from daskingest.web.backend import Backend
from daskingest.web.call import Call
from daskingest.web.pages.renderer import Renderer
from daskingest.web.problems import Problem


class Trial:
    """A form for a text, and the text with its entities marked."""

    def __init__(self, backend: Backend, renderer: Renderer) -> None:
        self._backend, self._renderer = backend, renderer

    async def page(self, call: Call) -> Response:
        """The form, and what was found in the text that was sent with it."""
        trials = self._backend.trials
        if trials is None:
            raise Problem(404, "trying articles is turned off here, see --trials", "unknown")
        body = await call.body(12 * MAX_TEXT)  # a character takes up to 12 bytes, as %XX
        sent = await asyncio.to_thread(text_in, body) if body else ""
        if len(sent) > MAX_TEXT:
            raise Problem(
                413, f"expected up to {MAX_TEXT:,} characters, found {len(sent):,}", "too large"
            )
        if not sent.strip():
            return self._shown("", None, 0)
        found = await trials.entities(sent)
        return self._shown(sent, pieces_of(sent, found), len(found))

    def _shown(self, text: str, pieces: list[tuple[str, str]] | None, count: int) -> Response:
        return self._renderer.page(
            "try.html", text=text, limit=MAX_TEXT, pieces=pieces, count=count
        )


def text_in(form: bytes) -> str:
    """The field `text` of a form as browsers send it; empty if it is missing."""
    sent = parse_qs(form.decode("latin-1"), errors="replace").get("text", [""])[0]
    return sent.replace("\r\n", "\n").replace("\0", "")


def pieces_of(text: str, found: Sequence[EntitySpan]) -> list[tuple[str, str]]:
    """The text cut at its entities: pieces with their label, which is empty between entities."""
    pieces, at = [], 0
    for start, end, label in found:
        pieces += [(text[at:start], ""), (text[start:end], label)]
        at = end
    return [*pieces, (text[at:], "")]
