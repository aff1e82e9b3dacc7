"""The settings: the type, default, bounds and help of each option, defined once.

The command line makes its options from the fields that have an `Option`, `cluster/CONFIGURATION.md`
lists them, and `daskingest.run_csv` takes those of `Settings` as arguments. Options of the log are
in `logs`, those of one command alone in its file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from daskingest.option import Option as Option
from daskingest.shared_options import (
    HIGHEST_PORT,
    BatchBytes,
    BatchTimeout,
    ContentColumn,
    DataDir,
    DateColumn,
    Dates,
    DrainTimeout,
    Encoding,
    FlushInterval,
    Host,
    Model,
    Port,
    PublicationColumn,
    Recognizer,
    Rejects,
    RootPath,
    Savers,
    Scheduler,
    Store,
    TlsCaFile,
    TlsCert,
    TlsKey,
    Trials,
    WaitForScheduler,
    WaitForWorkers,
    Workers,
)
from daskingest.shared_options import RecognizerKind as RecognizerKind
from daskingest.shown import NEWS, Aliases

DEFAULT_STORE = "sqlite:///daskingest.db"

BATCH_BYTES = 1 << 20
"""Bytes of a file in one batch: about a second of work."""

BATCH_TIMEOUT = 300.0
"""Seconds for each MiB of a batch: `en_core_web_sm` takes one or two, a large model hundreds."""

UPLOAD_BATCH = 100
"""Articles in one request of an upload."""

ALL_THE_NEWS = "https://www.dropbox.com/s/cn2utnr5ipathhh/all-the-news-2-1.zip?dl=1"
"""Where the data set All-the-News 2.0 can be downloaded."""

DATA_DIR = "daskingest-data"
MAX_SPOOL_BYTES = 4 << 30

_FLUSH_INTERVAL = 5.0
_HOST, _PORT = "127.0.0.1", 8000
_REJECTS = "rejects.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings:
    """How files are read."""

    content_column: ContentColumn = None
    publication_column: PublicationColumn = None
    date_column: DateColumn = None
    dates: Dates = True
    encoding: Encoding = None
    only: str | None = None
    """The format that they must have, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(FileSettings):
    """How files are counted."""

    store: Store = DEFAULT_STORE
    workers: Workers = None
    savers: Savers = 1
    scheduler: Scheduler = None
    tls_ca_file: TlsCaFile = None
    tls_cert: TlsCert = None
    tls_key: TlsKey = None
    wait_for_scheduler: WaitForScheduler = 0.0
    wait_for_workers: WaitForWorkers = None
    batch_bytes: BatchBytes = BATCH_BYTES
    batch_timeout: BatchTimeout = BATCH_TIMEOUT
    model: Model = None
    recognizer: Recognizer = RecognizerKind.FAST
    limit: Annotated[
        int | None, Option("Count only the first N articles of each file.", min=1, shown="all")
    ] = None
    rejects: Rejects = _REJECTS
    flush_interval: FlushInterval = _FLUSH_INTERVAL
    staging: Annotated[
        str | None,
        Option(
            "For a store whose writes are billed, Firestore: the SQLite file that counts are kept "
            "in until they are published to it, each word once.",
            shown="one in ~/.local/state/daskingest",
            is_path=True,
        ),
    ] = None
    publish_every: Annotated[
        float | None,
        Option(
            "Seconds after which such counts are published while files are being counted: they "
            "show earlier, and cost more writes.",
            min=1.0,
            shown="once, at the end",
        ),
    ] = None
    performance_report: Annotated[
        str | None,
        Option(
            "HTML file for Dask's report of the run: tasks, workers, profile.",
            shown="none",
            is_path=True,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How the service runs."""

    host: Host = _HOST
    port: Port = _PORT
    root_path: RootPath = ""
    store: Store = DEFAULT_STORE
    workers: Workers = None
    savers: Savers = 1
    scheduler: Scheduler = None
    tls_ca_file: TlsCaFile = None
    tls_cert: TlsCert = None
    tls_key: TlsKey = None
    wait_for_scheduler: WaitForScheduler = 0.0
    wait_for_workers: WaitForWorkers = None
    model: Model = None
    recognizer: Recognizer = RecognizerKind.FAST
    flush_interval: FlushInterval = _FLUSH_INTERVAL
    data_dir: DataDir = DATA_DIR
    keys: tuple[str, ...] = ()
    """API keys; if empty, everybody who can reach the service may write."""
    private: Annotated[bool, Option("Reading needs a key too.")] = False
    allow_origin: Annotated[
        str | None,
        Option(
            "Whose pages may read counts in a browser: an origin such as https://news.example.com, "
            "or * for all.",
            shown="nobody's",
        ),
    ] = None
    aliases: Aliases = NEWS
    trials: Trials = None
    drain_timeout: DrainTimeout = 30.0
    take_over: Annotated[
        bool,
        Option(
            "Count the articles waiting in a restored or copied data directory as new ones; those "
            "that the store already has are then counted twice."
        ),
    ] = False
    max_spool_bytes: Annotated[
        int,
        Option(
            "Bytes that may wait to be counted, with the idempotency keys of a day; beyond, "
            "submissions are refused with 503.",
            min=1,
        ),
    ] = MAX_SPOOL_BYTES
    max_body_bytes: Annotated[int, Option("Largest JSON body in bytes, uncompressed.", min=1)] = (
        16 << 20
    )
    max_upload_bytes: Annotated[
        int, Option("Largest NDJSON body in bytes, uncompressed.", min=1)
    ] = 4 << 30
    max_article_bytes: Annotated[int, Option("Largest article in bytes, as JSON.", min=1)] = 4 << 20
    batch_articles: Annotated[int, Option("Most articles in a micro-batch.", min=1)] = 1000
    batch_bytes: BatchBytes = BATCH_BYTES
    batch_timeout: BatchTimeout = BATCH_TIMEOUT
    batch_seconds: Annotated[
        float,
        Option(
            "Seconds an article may wait for its batch to fill up while all workers are busy.",
            min=0.0,
        ),
    ] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreSettings:
    """Which counts are shown in a browser, and where."""

    store: Store = DEFAULT_STORE
    host: Host = _HOST
    port: Port = _PORT
    root_path: RootPath = ""
    model: Model = None
    aliases: Aliases = NEWS
    trials: Trials = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorSettings(FileSettings):
    """The options that `run` or `serve` will be given, to be checked beforehand."""

    model: Model = None
    workers: Workers = None
    savers: Savers = 1
    scheduler: Scheduler = None
    tls_ca_file: TlsCaFile = None
    tls_cert: TlsCert = None
    tls_key: TlsKey = None
    store: Store = DEFAULT_STORE
    host: Host = _HOST
    port: Port = _PORT
    data_dir: DataDir = DATA_DIR


class WorkerKind(StrEnum):
    """What a worker does: the resource that it has."""

    EXTRACT = "extract"
    SAVER = "saver"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a machine works for a cluster."""

    kind: Annotated[
        WorkerKind,
        Option(
            "What the workers do: extract the entities, or save the counts, for which a cluster "
            "needs one.",
            name="--for",
        ),
    ] = WorkerKind.EXTRACT
    workers: Workers = None
    """One per core to extract, one to save."""
    host: Annotated[
        str | None,
        Option(
            "The address of this machine to listen on, where the scheduler and the other workers "
            "can reach it.",
            variable="DASKINGEST_WORKER_HOST",
            shown="the one from which it reaches the scheduler",
        ),
    ] = None
    tls_ca_file: TlsCaFile = None
    tls_cert: TlsCert = None
    tls_key: TlsKey = None
    memory_limit: Annotated[
        str, Option("Memory that each may take, such as 4GiB; beyond, it is replaced.")
    ] = "4GiB"
    drain_timeout: DrainTimeout = 20.0
    model: Model = None
    recognizer: Recognizer = RecognizerKind.FAST


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    """Where a cluster's scheduler listens."""

    host: Annotated[
        str,
        Option(
            "The address to listen on, where the machines of the cluster can reach it.",
            variable="DASKINGEST_SCHEDULER_HOST",
        ),
    ] = _HOST
    port: Annotated[
        int,
        Option(
            "The scheduler's port; 0 picks a free one.",
            min=0,
            max=HIGHEST_PORT,
            variable="DASKINGEST_SCHEDULER_PORT",
        ),
    ] = 8786
    dashboard_address: Annotated[
        str, Option("Where Dask's dashboard listens, for browsers; anybody there can see it.")
    ] = f"{_HOST}:8787"
    tls_ca_file: TlsCaFile = None
    tls_cert: TlsCert = None
    tls_key: TlsKey = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings(FileSettings):
    """How a file is sent to a service."""

    url: Annotated[str, Option("The service's address.")] = f"http://{_HOST}:{_PORT}"
    count: Annotated[int | None, Option("Send the first N articles.", min=1, shown="all")] = None
    repeat: Annotated[
        int,
        Option("Send the file N times; the repetitions count as different articles.", min=1),
    ] = 1
    concurrency: Annotated[
        int, Option("Requests that may wait for an answer at the same time.", min=1, max=1000)
    ] = 8
    batch: Annotated[
        int | None,
        Option(
            "Articles in a request: one is sent as JSON, several as NDJSON.",
            min=1,
            max=1000,  # as many rejects as the service lists in one answer
            shown=f"{UPLOAD_BATCH}, 1 with --legacy",
        ),
    ] = None
    rate: Annotated[
        float | None,
        Option("Articles a second, evenly.", min=0.001, shown="as many as the service accepts"),
    ] = None
    open_loop: Annotated[
        bool,
        Option(
            "Measure: keep to the --rate whatever the answers, send nothing again, and measure "
            "latency from when a request was due. Up to 1,000 requests may wait then, instead of "
            "--concurrency."
        ),
    ] = False
    key: Annotated[
        str | None,
        Option(
            "The service's key; of several separated by commas, the first. Other users of this "
            "machine can see options, but not the environment.",
            name="--api-key",
        ),
    ] = None
    legacy: Annotated[
        bool,
        Option("Send what older clients send: POST /post/enqueue, with the key as access_token."),
    ] = False
    insecure: Annotated[bool, Option("Accept any certificate.")] = False
    gzip: Annotated[
        bool | None,
        Option(
            "Compress what is sent.",
            name="--gzip/--no-gzip",
            shown="if a request has several articles",
        ),
    ] = None
    resume: Annotated[
        bool,
        Option(
            "Continue an interrupted upload. The file with its progress is looked for in "
            "this folder, beside the CSV file and where it was written last."
        ),
    ] = False
    state: Annotated[
        str | None,
        Option(
            "File that records the progress of the upload.",
            shown="the CSV file's name with .upload.json, in the current folder",
            is_path=True,
        ),
    ] = None
    patience: Annotated[
        float, Option("Seconds to keep trying while the service accepts nothing.", min=0.0)
    ] = 300.0
    rejects: Rejects = _REJECTS

    @property
    def articles_per_request(self) -> int:
        """The `batch`, or its default."""
        return self.batch or (1 if self.legacy else UPLOAD_BATCH)

    @property
    def compressed(self) -> bool:
        """Whether what is sent is compressed."""
        return self.articles_per_request > 1 if self.gzip is None else self.gzip
