"""Articles to try: their entities are found on the cluster, and not counted."""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import CancelledError

from distributed import Client, KilledWorker

from daskingest.errors import DaskingestError
from daskingest.extraction import entities_in
from daskingest.pipeline.cluster import EXTRACT
from daskingest.text import EntitySpan

_FIRST = 1_000_000  # a higher priority than that of batches
_SECONDS = 20.0


class Trials:
    """Has a worker find a text's entities before it starts its next batch."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model
        self._numbers = itertools.count()

    async def entities(self, text: str) -> list[EntitySpan]:
        """The entities in a text. Raises DaskingestError, with the reason, if that fails."""
        future = self._client.submit(
            entities_in,
            text,
            self._model,
            key=f"try-article-{next(self._numbers)}",
            resources={EXTRACT: 1},
            priority=_FIRST,
            retries=0,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                return list(await future)
        except DaskingestError:
            raise
        except Exception as error:
            raise DaskingestError(_explained(error)) from error


def _explained(error: Exception) -> str:
    """The message for the person who tried the text."""
    match error:
        case TimeoutError():
            return "no worker had time for it; try again later"
        case KilledWorker():
            return "the worker that tried it died; try again, or try a shorter text"
        case CancelledError():
            return "the connection to the workers was lost; try again later"
        case _:
            return f"spaCy can't process this text: {error}"
