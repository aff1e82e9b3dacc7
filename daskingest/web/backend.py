"""The backend that pages and reading requests are answered from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from daskingest.stores import Store
from daskingest.text import EntitySpan

T = TypeVar("T")


class Backend(Protocol):
    """A store to read, and information about it. A service is a backend, and a store alone."""

    @property
    def billed(self) -> bool:
        """Whether reading the store is billed."""

    @property
    def dashboard(self) -> str:
        """The address of the Dask dashboard; empty if there is none."""

    async def read(self, work: Callable[[Store], T]) -> T:
        """What `work` returns, called with the store on a reading thread. Raises StoreError."""

    async def entities(self, text: str) -> list[EntitySpan]:
        """The entities in a text. Raises DaskingestError if they can't be found now."""

    def status(self) -> object:
        """What `/status` says, for a template; None if there is no service."""
