"""What can be set: for each option its type, default, bounds and help, said here and nowhere else.

The command line makes its options of the fields that have an `Option`, `cluster/CONFIGURATION.md`
lists them, and `daskingest.run_csv` takes those of `Settings` as arguments.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

DEFAULT_STORE = "sqlite:///daskingest.db"

BATCH_BYTES = 1 << 20
"""Bytes of a file in one batch: the articles of about a second of work."""

UPLOAD_BATCH = 100
"""Articles in one request of an upload."""

ALL_THE_NEWS = "https://www.dropbox.com/s/cn2utnr5ipathhh/all-the-news-2-1.zip?dl=1"
"""Where the data set All-the-News 2.0 can be fetched."""

DATA_DIR = "daskingest-data"
MAX_SPOOL_BYTES = 4 << 30

_FLUSH_INTERVAL = 5.0
_HOST, _PORT = "127.0.0.1", 8000
_REJECTS = "rejects.jsonl"


@dataclass(frozen=True, slots=True)
class Option:
    """What the command line says of a setting, besides its type and its default.

    The option is called `--` and the field's name, unless `name` says otherwise: `--json`, or
    `--gzip/--no-gzip` for one that can be turned off too. The environment has it as `variable`.
    """

    help: str
    _: KW_ONLY
    name: str = ""
    min: float | None = None
    max: float | None = None
    shown: str | None = None
    """What help shows as the default, where the value doesn't say it."""
    is_path: bool = False
    """Whether the text names a file or a folder."""

    def name_for(self, field: str) -> str:
        """What the option of a field is called."""
        return self.name or "--" + field.replace("_", "-")

    def variable_for(self, field: str) -> str:
        """The environment variable that can hold it."""
        name = self.name_for(field).partition("/")[0].lstrip("-")
        return "DASKINGEST_" + name.upper().replace("-", "_")


Host = Annotated[
    str, Option("The address to listen on; another than this machine's own needs a key.")
]
Port = Annotated[int, Option("The port; 0 takes a free one.", min=0, max=65535)]
Store = Annotated[
    str,
    Option(
        "Where the counts are: sqlite:///PATH, with a fourth slash for an absolute path, or "
        "firestore://PROJECT[/DATABASE]."
    ),
]
Workers = Annotated[
    int | None, Option("Worker processes to start here.", min=1, shown="one for each core")
]
Scheduler = Annotated[
    str | None,
    Option("Use the Dask cluster at this address (tcp:// or tls://) instead of a new one."),
]
Model = Annotated[
    str | None,
    Option(
        "A spaCy pipeline with an `ner`: an installed package, or a folder.",
        shown="en_core_web_sm",
    ),
]
FlushInterval = Annotated[
    float,
    Option(
        "Seconds that counts wait for others before they are committed. Longer: later to be seen, "
        "but fewer writes, which is what Firestore bills.",
        min=0.0,
    ),
]
BatchBytes = Annotated[
    int,
    Option(
        "Bytes of articles in one task, at most in a micro-batch. A run that goes on keeps the "
        "value it began with.",
        min=1,
    ),
]
ContentColumn = Annotated[
    str | None,
    Option("The column with the articles' texts.", shown="article, content or text"),
]
PublicationColumn = Annotated[
    str | None,
    Option("The column with the publications' names.", shown="publication or source"),
]
Rejects = Annotated[
    str,
    Option(
        "File for the rows that could not be taken, and why; JSON lines, added to.", is_path=True
    ),
]
DataDir = Annotated[
    str,
    Option(
        "Folder for downloads, and for the service's spool: what it has acknowledged and the "
        "store has not.",
        is_path=True,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How files are counted."""

    store: Store = DEFAULT_STORE
    workers: Workers = None
    scheduler: Scheduler = None
    batch_bytes: BatchBytes = BATCH_BYTES
    content_column: ContentColumn = None
    publication_column: PublicationColumn = None
    model: Model = None
    limit: Annotated[
        int | None, Option("Count the first N articles of each file only.", min=1, shown="all")
    ] = None
    rejects: Rejects = _REJECTS
    flush_interval: FlushInterval = _FLUSH_INTERVAL
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
    store: Store = DEFAULT_STORE
    workers: Workers = None
    scheduler: Scheduler = None
    model: Model = None
    flush_interval: FlushInterval = _FLUSH_INTERVAL
    data_dir: DataDir = DATA_DIR
    keys: tuple[str, ...] = ()
    """API keys; none: whoever reaches the service may write."""
    private: Annotated[bool, Option("Reading needs a key too.")] = False
    drain_timeout: Annotated[
        float,
        Option(
            "Seconds to count what is in the spool when asked to end; the rest waits for the next "
            "start.",
            min=0.0,
        ),
    ] = 30.0
    max_spool_bytes: Annotated[
        int,
        Option(
            "Bytes that may wait to be counted; beyond, submissions are refused with 503.", min=1
        ),
    ] = MAX_SPOOL_BYTES
    max_body_bytes: Annotated[int, Option("Largest JSON body, unpacked.", min=1)] = 16 << 20
    max_upload_bytes: Annotated[int, Option("Largest NDJSON body, unpacked.", min=1)] = 4 << 30
    max_article_bytes: Annotated[int, Option("Largest article, as JSON.", min=1)] = 4 << 20
    batch_articles: Annotated[int, Option("Most articles of a micro-batch.", min=1)] = 1000
    batch_bytes: BatchBytes = BATCH_BYTES
    batch_seconds: Annotated[
        float,
        Option(
            "Seconds an article waits for its batch to fill up while all workers are busy.",
            min=0.0,
        ),
    ] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreSettings:
    """Which counts are shown in a browser, and where."""

    store: Store = DEFAULT_STORE
    host: Host = _HOST
    port: Port = _PORT
    model: Model = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorSettings:
    """What `run-csv` or `serve` are to have, to be looked at before."""

    model: Model = None
    workers: Workers = None
    scheduler: Scheduler = None
    store: Store = DEFAULT_STORE
    host: Host = _HOST
    port: Port = _PORT
    data_dir: DataDir = DATA_DIR


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings:
    """How a file is sent to a service."""

    url: Annotated[str, Option("The service's address.")] = f"http://{_HOST}:{_PORT}"
    count: Annotated[int | None, Option("Send the first N articles.", min=1, shown="all")] = None
    repeat: Annotated[
        int,
        Option("Send them so many times over; each time they are other articles.", min=1),
    ] = 1
    concurrency: Annotated[
        int, Option("Requests that wait for an answer at once.", min=1, max=1000)
    ] = 8
    batch: Annotated[
        int | None,
        Option(
            "Articles in a request: 1 goes as JSON, more as lines of JSON.",
            min=1,
            max=1000,  # the rejects that the service lists in one answer
            shown=f"{UPLOAD_BATCH}, 1 with --legacy",
        ),
    ] = None
    rate: Annotated[
        float | None,
        Option("Articles a second, evenly.", min=0.001, shown="as many as the service takes"),
    ] = None
    open_loop: Annotated[
        bool,
        Option(
            "Measure: keep to the --rate whatever is answered, send nothing again, and count "
            "latency from when a request was due. Not --concurrency is the limit then, but 1,000."
        ),
    ] = False
    key: Annotated[
        str | None,
        Option(
            "The service's key; of several with commas between them the first. Others on this "
            "machine may see options, but not the environment.",
            name="--api-key",
        ),
    ] = None
    legacy: Annotated[
        bool,
        Option("Use the older clients' call: POST /post/enqueue, the key as access_token."),
    ] = False
    insecure: Annotated[bool, Option("Take any certificate.")] = False
    gzip: Annotated[
        bool | None,
        Option(
            "Compress what is sent.",
            name="--gzip/--no-gzip",
            shown="where a request has several articles",
        ),
    ] = None
    resume: Annotated[
        bool,
        Option("Go on with an upload that was interrupted; begin one if there is none."),
    ] = False
    state: Annotated[
        str | None,
        Option(
            "File that says how far the upload is.",
            shown="the CSV file's name and .upload.json, in this folder",
            is_path=True,
        ),
    ] = None
    patience: Annotated[
        float, Option("Seconds to try again while the service takes nothing.", min=0.0)
    ] = 300.0
    content_column: ContentColumn = None
    publication_column: PublicationColumn = None
    rejects: Rejects = _REJECTS

    @property
    def articles_per_request(self) -> int:
        """The batch, or what there is without one."""
        return self.batch or (1 if self.legacy else UPLOAD_BATCH)

    @property
    def compressed(self) -> bool:
        """Whether what is sent is compressed."""
        return self.articles_per_request > 1 if self.gzip is None else self.gzip
