"""The options that several commands have: their types and their help."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from daskingest.option import Option


class RecognizerKind(StrEnum):
    """What computes a model's entities; they are the same."""

    FAST = "fast"
    SPACY = "spacy"


HIGHEST_PORT = 65_535
"""One above is not refused where a connection is made: it is another port, what is left of it."""

Host = Annotated[str, Option("The address to listen on; any but a loopback address needs a key.")]
Port = Annotated[int, Option("The port; 0 picks a free one.", min=0, max=HIGHEST_PORT)]
RootPath = Annotated[
    str,
    Option(
        "The path under which a proxy shows this, such as /news, whether or not the proxy takes it "
        "off. Without it, links are relative, or begin with what X-Forwarded-Prefix says.",
        shown="none",
    ),
]
Store = Annotated[
    str,
    Option(
        "Where the counts are: sqlite:///PATH (four slashes for an absolute path), "
        "postgresql://USER@HOST/DATABASE or firestore://PROJECT[/DATABASE]."
    ),
]
Workers = Annotated[
    int | None,
    Option("Worker processes to start.", min=1, shown="one per core; one with --for saver"),
]
DrainTimeout = Annotated[
    float,
    Option(
        "Seconds to finish what is begun when asked to stop. What is left of a service's spool "
        "waits for its next start, and what is left of a worker's tasks is done by others.",
        min=0.0,
    ),
]
Savers = Annotated[
    int,
    Option(
        "Processes that write counts, each those of other publications. More than one helps where "
        "the store takes several writers at a time, which an SQLite file does not. What was begun "
        "with another number goes on with that many shards.",
        min=1,
        max=64,
    ),
]
Scheduler = Annotated[
    str | None,
    Option("Use the Dask cluster at this address (tcp:// or tls://) instead of a new one."),
]
TlsCaFile = Annotated[
    str | None,
    Option(
        "For tls://: the certificate, in PEM, of the authority that signed those of the cluster.",
        shown="as Dask is configured",
        is_path=True,
    ),
]
TlsCert = Annotated[
    str | None,
    Option(
        "For tls://: the certificate, in PEM, that this process shows to the cluster's others.",
        shown="as Dask is configured",
        is_path=True,
    ),
]
TlsKey = Annotated[
    str | None,
    Option(
        "For tls://: the private key of that certificate, in PEM, without a password.",
        shown="as Dask is configured",
        is_path=True,
    ),
]
WaitForScheduler = Annotated[
    float,
    Option(
        "Seconds to wait for the scheduler at --scheduler while it is not there: at the start, and "
        "when a run loses it. A service that loses it takes articles and waits without end.",
        min=0.0,
    ),
]
WaitForWorkers = Annotated[
    float | None,
    Option(
        "Seconds to wait while the cluster at --scheduler has no worker that extracts, or none for "
        "the saver.",
        min=0.0,
        shown="0 at the start; when the last one was lost 600, and in a service without end",
    ),
]
Model = Annotated[
    str | None,
    Option(
        "A spaCy pipeline that sets entities: an installed package or a folder.",
        shown="en_core_web_sm",
    ),
]
Recognizer = Annotated[
    RecognizerKind,
    Option(
        "What finds the entities: the fast recognizer, or spaCy's own nlp.pipe, to compare. The "
        "counts are the same, and a run may be continued with the other."
    ),
]
FlushInterval = Annotated[
    float,
    Option(
        "Seconds that counts wait for others before they are committed, longer while commits take "
        "long: those into a large store. A longer interval shows them later, but means fewer "
        "writes, which Firestore charges for.",
        min=0.0,
    ),
]
BatchBytes = Annotated[
    int,
    Option(
        "Most bytes of a file in one task, about, or in one of the service's micro-batches. Files "
        "are cut smaller, to 128 KiB at least, for workers to have the same number of tasks. A "
        "resumed run keeps the value it began with.",
        min=1,
    ),
]
BatchTimeout = Annotated[
    float,
    Option(
        "Seconds of a processor that a task may take for each MiB of its batch; one of less than a "
        "tenth of a MiB has a tenth of them. After that, its worker is replaced, and the article "
        "responsible is found and rejected. What hardly uses the processor has ten times as long, "
        "by the clock.",
        min=0.1,
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
DateColumn = Annotated[
    str | None,
    Option(
        "The column with the articles' dates: ISO 8601, or as in mails and feeds.",
        shown="date, published or publication_date, else year and month",
    ),
]
Dates = Annotated[
    bool,
    Option("Count by month, too.", name="--dates/--no-dates", shown="where there are dates"),
]
Encoding = Annotated[
    str | None,
    Option(
        "The encoding of the files, if they are not in UTF-8: cp1252, latin-1, utf-16 or another "
        "that Python knows.",
        shown="UTF-8",
    ),
]
Trials = Annotated[
    bool | None,
    Option(
        "Let people try an article on a page: its entities are shown and not counted.",
        name="--trials/--no-trials",
        shown="where only this machine, or who has a key, can ask for it",
    ),
]
Rejects = Annotated[
    str,
    Option(
        "File to which rejected rows are appended, with the reason, as JSON lines.",
        is_path=True,
    ),
]
DataDir = Annotated[
    str,
    Option(
        "Folder for downloads and for the service's spool: the articles that it has acknowledged "
        "and the store does not have yet.",
        is_path=True,
    ),
]
