"""What the pages and the reading requests are answered from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from daskingest.stores import Store

T = TypeVar("T")

Found = tuple[int, int, str]
"""An entity in a text: start and end in characters, and label."""


class Source(Protocol):
    """A store to read, and what knows about it. The service is one, and a store alone."""

    @property
    def billed(self) -> bool:
        """Whether reading the store is billed."""

    @property
    def dashboard(self) -> str:
        """The address of the Dask dashboard; empty if there is none."""

    async def read(self, work: Callable[[Store], T]) -> T:
        """Ask the store, on a thread that reads. Raises StoreError."""

    async def entities(self, text: str) -> list[Found]:
        """The entities in a text. Raises DaskingestError if they can't be found now."""

    def status(self) -> object:
        """What `/status` says, for a template; None where there is no service."""
