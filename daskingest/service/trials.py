"""Articles that people try: their entities, found in a process of its own and not counted."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Any

from daskingest.errors import DaskingestError, UsageError

MAX_TEXT = 20_000
"""Characters of an article to try."""

_SECONDS = 10.0
_START_SECONDS = 120.0  # a machine's first process compiles the recognizer's loops
_GRACE_SECONDS = 5.0  # after which it ends itself, if nobody has killed it
_MOST_AT_ONCE = 8  # one is tried, the others wait
_MOST_ANSWER = 8 << 20  # bytes


class Trials:
    """Tries texts, one after the other, in a process that is started when first asked for.

    One that takes too long is killed, and another started for the next text. No such process
    outlives this one.
    """

    def __init__(self, model: str, seconds: float = _SECONDS) -> None:
        self._command = [sys.executable, "-m", "daskingest.service.trial_process", model]
        self.seconds = seconds
        """That a text may take."""
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._asked = 0

    async def entities(self, text: str) -> list[tuple[int, int, str]]:
        """The entities in a text: start, end (characters) and label.

        Raises DaskingestError, which says why, if none can be found.
        """
        if len(text) > MAX_TEXT:
            raise DaskingestError(
                f"expected a text of up to {MAX_TEXT:,} characters, found {len(text):,}"
            )
        if self._asked >= _MOST_AT_ONCE:
            raise DaskingestError("several texts are being tried already; try again later")
        self._asked += 1
        try:
            async with self._turn:
                return _entities(await self._answer(text))
        finally:
            self._asked -= 1

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _answer(self, text: str) -> dict[str, Any]:
        """What the process says. One that says nothing in time, or is not to, is killed."""
        try:
            process = await self._started()
            assert process.stdin is not None
            process.stdin.write(json.dumps(text).encode() + b"\n")
            return await self._line(process, self.seconds)
        except TimeoutError:
            await self.close()
            raise DaskingestError(
                f"finding its entities takes longer than {self.seconds:g} seconds; "
                "try a shorter text"
            ) from None
        except BaseException:  # whoever asked may have gone, and its answer is not another's
            await self.close()
            raise

    async def _started(self) -> Process:
        """The process, with its model loaded."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                str(self.seconds + _GRACE_SECONDS),
                stdin=PIPE,
                stdout=PIPE,
                limit=_MOST_ANSWER,
            )
            _entities(await self._line(self._process, _START_SECONDS))
        return self._process

    async def _line(self, process: Process, seconds: float) -> dict[str, Any]:
        assert process.stdout is not None
        async with asyncio.timeout(seconds):
            line = await process.stdout.readline()
        if not line:
            raise DaskingestError(
                "the process that tried it died; try again, or try a shorter text"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


def _entities(answer: dict[str, Any]) -> list[tuple[int, int, str]]:
    """The entities in an answer. Raises what it says went wrong."""
    if "error" not in answer:
        return [(start, end, label) for start, end, label in answer["entities"]]
    if answer["usage"]:
        raise UsageError(answer["error"])
    raise DaskingestError(f"spaCy can't read this text: {answer['error']}")
