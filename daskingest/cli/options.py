"""The options of the commands: each means the same wherever it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daskingest.logs import Format, Level
from daskingest.settings import UPLOAD_BATCH

Host = Annotated[
    str,
    typer.Option(
        envvar="DASKINGEST_HOST",
        help="The address to listen on; another than this machine's own needs a key.",
    ),
]
Port = Annotated[
    int,
    typer.Option(envvar="DASKINGEST_PORT", min=0, max=65535, help="The port; 0 takes a free one."),
]
Store = Annotated[
    str,
    typer.Option(
        envvar="DASKINGEST_STORE",
        help="Where the counts are: sqlite:///PATH, with a fourth slash for an absolute path, or "
        r"firestore://PROJECT\[/DATABASE].",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        envvar="DASKINGEST_WORKERS",
        min=1,
        help="Worker processes to start here.",
        show_default="one for each core",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        envvar="DASKINGEST_MODEL",
        help="A spaCy pipeline with an `ner`: an installed package, or a folder.",
        show_default="en_core_web_sm",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        envvar="DASKINGEST_SCHEDULER",
        help="Use the Dask cluster at this address (tcp:// or tls://) instead of a new one.",
    ),
]
FlushInterval = Annotated[
    float,
    typer.Option(
        envvar="DASKINGEST_FLUSH_INTERVAL",
        min=0.0,
        help="Seconds that counts wait for others before they are committed. Longer: later to be "
        "seen, but fewer writes, which is what Firestore bills.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", envvar="DASKINGEST_JSON", help="Print JSON.")]
ContentColumn = Annotated[
    str | None,
    typer.Option(
        envvar="DASKINGEST_CONTENT_COLUMN",
        help="The column with the articles' texts.",
        show_default="article, content or text",
    ),
]
PublicationColumn = Annotated[
    str | None,
    typer.Option(
        envvar="DASKINGEST_PUBLICATION_COLUMN",
        help="The column with the publications' names.",
        show_default="publication or source",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        envvar="DASKINGEST_LIMIT",
        min=1,
        help="Count the first N articles of each file only.",
        show_default="all",
    ),
]
Rejects = Annotated[
    Path,
    typer.Option(
        envvar="DASKINGEST_REJECTS",
        help="File for the rows that could not be taken, and why; JSON lines, added to.",
    ),
]
PerformanceReport = Annotated[
    Path | None,
    typer.Option(
        envvar="DASKINGEST_PERFORMANCE_REPORT",
        help="HTML file for Dask's report of the run: tasks, workers, profile.",
        show_default="none",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", envvar="DASKINGEST_STRICT", help="Exit with 3 on rejects.")
]
NoProgress = Annotated[
    bool,
    typer.Option(
        "--no-progress",
        envvar="DASKINGEST_NO_PROGRESS",
        help="Print only the summary: neither progress nor what is logged.",
    ),
]
DataDir = Annotated[
    Path,
    typer.Option(
        envvar="DASKINGEST_DATA_DIR",
        help="Folder for downloads, and for the service's spool: what it has acknowledged and the "
        "store has not.",
    ),
]
Private = Annotated[
    bool,
    typer.Option("--private", envvar="DASKINGEST_PRIVATE", help="Reading needs a key too."),
]
DrainTimeout = Annotated[
    float,
    typer.Option(
        envvar="DASKINGEST_DRAIN_TIMEOUT",
        min=0.0,
        help="Seconds to count what is in the spool when asked to end; the rest waits for "
        "the next start.",
    ),
]
MaxSpoolBytes = Annotated[
    int,
    typer.Option(
        envvar="DASKINGEST_MAX_SPOOL_BYTES",
        min=1,
        help="Bytes that may wait to be counted; beyond, submissions are refused with 503.",
    ),
]
MaxBodyBytes = Annotated[
    int,
    typer.Option(envvar="DASKINGEST_MAX_BODY_BYTES", min=1, help="Largest JSON body, unpacked."),
]
MaxUploadBytes = Annotated[
    int,
    typer.Option(
        envvar="DASKINGEST_MAX_UPLOAD_BYTES", min=1, help="Largest NDJSON body, unpacked."
    ),
]
MaxArticleBytes = Annotated[
    int,
    typer.Option(envvar="DASKINGEST_MAX_ARTICLE_BYTES", min=1, help="Largest article, as JSON."),
]
BatchArticles = Annotated[
    int,
    typer.Option(envvar="DASKINGEST_BATCH_ARTICLES", min=1, help="Most articles of a micro-batch."),
]
BatchBytes = Annotated[
    int,
    typer.Option(
        envvar="DASKINGEST_BATCH_BYTES",
        min=1,
        help="Bytes of articles in one task, at most in a micro-batch. A run that goes on keeps "
        "the value it began with.",
    ),
]
BatchSeconds = Annotated[
    float,
    typer.Option(
        envvar="DASKINGEST_BATCH_SECONDS",
        min=0.0,
        help="Seconds an article waits for its batch to fill up while all workers are busy.",
    ),
]
LogLevel = Annotated[
    Level,
    typer.Option(
        envvar="DASKINGEST_LOG_LEVEL",
        case_sensitive=False,
        help="How much is logged: this, and what is worse.",
    ),
]
LogFormat = Annotated[
    Format,
    typer.Option(
        envvar="DASKINGEST_LOG_FORMAT",
        case_sensitive=False,
        help="What the log looks like: text, or a JSON object a line.",
    ),
]
LogFile = Annotated[
    Path | None,
    typer.Option(
        envvar="DASKINGEST_LOG_FILE",
        help="File for the log, added to.",
        show_default="standard error",
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        envvar="DASKINGEST_COUNT", min=1, help="Send the first N articles.", show_default="all"
    ),
]
Repeat = Annotated[
    int,
    typer.Option(
        envvar="DASKINGEST_REPEAT",
        min=1,
        help="Send them so many times over; each time they are other articles.",
    ),
]
Concurrency = Annotated[
    int,
    typer.Option(
        envvar="DASKINGEST_CONCURRENCY",
        min=1,
        max=1000,
        help="Requests that wait for an answer at once.",
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        envvar="DASKINGEST_BATCH",
        min=1,
        max=1000,  # the rejects that the service lists in one answer
        help="Articles in a request: 1 goes as JSON, more as lines of JSON.",
        show_default=f"{UPLOAD_BATCH}, 1 with --legacy",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        envvar="DASKINGEST_RATE",
        min=0.001,
        help="Articles a second, evenly.",
        show_default="as many as the service takes",
    ),
]
OpenLoop = Annotated[
    bool,
    typer.Option(
        "--open-loop",
        envvar="DASKINGEST_OPEN_LOOP",
        help="Measure: keep to the --rate whatever is answered, send nothing again, and count "
        "latency from when a request was due. Not --concurrency is the limit then, but 1,000.",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="DASKINGEST_API_KEY",
        help="The service's key; of several with commas between them the first. Others on "
        "this machine may see options, but not the environment.",
    ),
]
Legacy = Annotated[
    bool,
    typer.Option(
        "--legacy",
        envvar="DASKINGEST_LEGACY",
        help="Use the older clients' call: POST /post/enqueue, the key as access_token.",
    ),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", envvar="DASKINGEST_INSECURE", help="Take any certificate."),
]
Gzip = Annotated[
    bool | None,
    typer.Option(
        "--gzip/--no-gzip",
        envvar="DASKINGEST_GZIP",
        help="Compress what is sent.",
        show_default="where a request has several articles",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        envvar="DASKINGEST_RESUME",
        help="Go on with an upload that was interrupted; begin one if there is none.",
    ),
]
State = Annotated[
    Path | None,
    typer.Option(
        envvar="DASKINGEST_STATE",
        help="File that says how far the upload is.",
        show_default="the CSV file's name and .upload.json, in this folder",
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        envvar="DASKINGEST_PATIENCE",
        min=0.0,
        help="Seconds to try again while the service takes nothing.",
    ),
]
