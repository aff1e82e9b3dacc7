"""One frozen Settings, from options and environment."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_STORE = "sqlite:///daskingest.db"

BATCH_BYTES = 1 << 20
"""Bytes of a file in one batch: the articles of about a second of work."""

FLUSH_INTERVAL = 5.0
"""How long counts wait for others before they are committed, in seconds."""

REJECTS = "rejects.jsonl"

UPLOAD_BATCH = 100
"""Articles in one request of an upload."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings:
    """How a file is sent to a service. Times are in seconds."""

    url: str = "http://127.0.0.1:8000"
    count: int | None = None
    """Send the first so many articles; None: all."""
    repeat: int = 1
    """Send them so many times over; each time they are other articles."""
    concurrency: int = 8
    """Requests that wait for an answer at once."""
    batch: int = UPLOAD_BATCH
    """Articles in a request. One goes as JSON, more as lines of JSON."""
    rate: float | None = None
    """Articles a second; None: as many as the service takes."""
    open_loop: bool = False
    """Keep to the rate whatever is answered: nothing is sent again."""
    key: str | None = None
    """The API key."""
    legacy: bool = False
    """Use the older clients' call."""
    insecure: bool = False
    """Take any certificate."""
    gzip: bool = True
    resume: bool = False
    state: str | None = None
    """The file that says how far it is; None: the CSV file's name and `.upload.json`, here."""
    patience: float = 300.0
    """How long to try again while nothing is taken."""
    content_column: str | None = None
    publication_column: str | None = None
    rejects: str = REJECTS
