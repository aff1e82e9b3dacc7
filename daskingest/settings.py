"""One frozen Settings, from options and environment."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_STORE = "sqlite:///daskingest.db"

BATCH_BYTES = 512 << 10
"""Bytes of a file in one batch: the articles of about a second of work."""

FLUSH_INTERVAL = 5.0
"""How long counts wait for others before they are committed, in seconds."""

REJECTS = "rejects.jsonl"

ALL_THE_NEWS = "https://www.dropbox.com/s/cn2utnr5ipathhh/all-the-news-2-1.zip?dl=1"
"""Where the data set All-the-News 2.0 can be fetched."""


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
    performance_report: str | None = None
    """An HTML file for what Dask saw of the run; None: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How the service runs. Sizes are in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8000
    store: str = DEFAULT_STORE
    workers: int | None = None
    scheduler: str | None = None
    model: str | None = None
    flush_interval: float = FLUSH_INTERVAL
    data_dir: str = "daskingest-data"
    keys: tuple[str, ...] = ()
    """API keys; none: whoever reaches the service may write."""
    private: bool = False
    """Reading needs a key too."""
    drain_timeout: float = 30.0
    max_spool_bytes: int = 4 << 30
    max_body_bytes: int = 16 << 20
    """Of a JSON body, unpacked."""
    max_upload_bytes: int = 4 << 30
    """Of an NDJSON body, unpacked."""
    max_article_bytes: int = 4 << 20
    """Of one article in JSON."""
    batch_articles: int = 1000
    batch_bytes: int = BATCH_BYTES
    batch_seconds: float = 0.5
    """How long an article waits for its batch to fill up while all workers are busy."""
