"""The backend that pages and reading requests are answered from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from daskingest.service.rates import Rate
from daskingest.service.trials import Trials
from daskingest.stores import ReadableStore

T = TypeVar("T")


class Backend(Protocol):
    """A store to read, and what knows about it. The service is one, and a store alone."""

    @property
    def billed(self) -> bool:
        """Whether reading the store is billed."""

    @property
    def dashboard(self) -> str:
        """The address of the Dask dashboard; empty if there is none."""

    @property
    def trials(self) -> Trials | None:
        """Tries articles; None where people may not."""

    async def read(self, work: Callable[[ReadableStore], T]) -> T:
        """What `work` returns, called with the store on a reading thread. Raises StoreError."""

    def history(self) -> list[Rate]:
        """Articles per second over the last minutes, the oldest first; empty: not known."""

    def status(self) -> object:
        """What `/status` says, for a template; None if there is no service."""
