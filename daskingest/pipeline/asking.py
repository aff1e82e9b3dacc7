"""What is known of the source that batches come from."""

from __future__ import annotations

from enum import Enum

from daskingest.pipeline.batch import Batch


class _Known(Enum):
    MAY_HAVE = "it may have batches"
    ASKED = "it was asked for some"
    ASKED_BEFORE = "it was asked before things changed"
    EMPTY = "it has none yet"
    ENDED = "it will have none"


class Asking:
    """Whether the source is to be asked, one question at a time."""

    def __init__(self) -> None:
        self._known = _Known.MAY_HAVE

    @property
    def due(self) -> bool:
        """Whether it may have batches, and wasn't asked."""
        return self._known is _Known.MAY_HAVE

    @property
    def awaited(self) -> bool:
        """Whether it has not answered."""
        return self._known in (_Known.ASKED, _Known.ASKED_BEFORE)

    @property
    def ended(self) -> bool:
        """Whether it will have none."""
        return self._known is _Known.ENDED

    def ask(self) -> None:
        """It is being asked."""
        self._known = _Known.ASKED

    def answered(self, batches: list[Batch] | None) -> None:
        """See `BatchSource.take`. That it has none is old news if things have changed since."""
        if batches is None:
            self._known = _Known.ENDED
        elif batches or self._known is _Known.ASKED_BEFORE:
            self._known = _Known.MAY_HAVE
        else:
            self._known = _Known.EMPTY

    def changed(self) -> None:
        """Who is free may have changed, or what the source has: what it said may not hold."""
        match self._known:
            case _Known.EMPTY:
                self._known = _Known.MAY_HAVE
            case _Known.ASKED:
                self._known = _Known.ASKED_BEFORE
