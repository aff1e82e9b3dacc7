"""One frozen Settings, from options and environment."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_STORE = "sqlite:///daskingest.db"

BATCH_BYTES = 512 << 10
"""Bytes of a file in one batch: the articles of about a second of work."""

FLUSH_INTERVAL = 5.0
"""How long counts wait for others before they are committed, in seconds."""

REJECTS = "rejects.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How files are counted. The command line and `daskingest.run_csv` share names and defaults."""

    store: str = DEFAULT_STORE
    workers: int | None = None
    """Worker processes; None: one for each core."""
    scheduler: str | None = None
    """Address of a Dask scheduler; None: a cluster on this machine."""
    batch_bytes: int = BATCH_BYTES
    content_column: str | None = None
    publication_column: str | None = None
    model: str | None = None
    limit: int | None = None
    """Count the first so many articles of each file; None: all."""
    rejects: str = REJECTS
    flush_interval: float = FLUSH_INTERVAL
    """Seconds."""
