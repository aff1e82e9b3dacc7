"""The commands. What they need is imported when they run, so that `--help` answers at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from daskingest import __version__
from daskingest.cli.counting import count_files
from daskingest.settings import (
    BATCH_BYTES,
    DEFAULT_STORE,
    FLUSH_INTERVAL,
    REJECTS,
    ServeSettings,
    Settings,
    UploadSettings,
)

_SERVE, _UPLOAD = ServeSettings(), UploadSettings()

app = typer.Typer(
    name="daskingest",
    help="Counts who and what each publication writes about: named entities from news articles, "
    "extracted with spaCy on a Dask cluster, each counted exactly once.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"daskingest {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


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
Rejects = Annotated[
    Path,
    typer.Option(
        envvar="DASKINGEST_REJECTS",
        help="File for the rows that could not be taken, and why; JSON lines, added to.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", envvar="DASKINGEST_STRICT", help="Exit with 3 on rejects.")
]
NoProgress = Annotated[
    bool,
    typer.Option("--no-progress", envvar="DASKINGEST_NO_PROGRESS", help="Print only the summary."),
]
AsJson = Annotated[bool, typer.Option("--json", envvar="DASKINGEST_JSON", help="Print JSON.")]


@app.command("run-csv")
def run_csv(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="CSV files with a header line, local or wherever fsspec reaches (s3://...); "
            "compressed ones (.gz, .bz2, .xz, .zst, .zip) are unpacked on the way.",
        ),
    ],
    store: Store = DEFAULT_STORE,
    workers: Workers = None,
    scheduler: Scheduler = None,
    batch_bytes: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_BATCH_BYTES",
            min=1,
            help="Bytes of the file in one task. A run that goes on keeps the value it began with.",
        ),
    ] = BATCH_BYTES,
    content_column: ContentColumn = None,
    publication_column: PublicationColumn = None,
    model: Model = None,
    limit: Annotated[
        int | None,
        typer.Option(
            envvar="DASKINGEST_LIMIT",
            min=1,
            help="Count the first N articles of each file only.",
            show_default="all",
        ),
    ] = None,
    rejects: Rejects = Path(REJECTS),
    flush_interval: FlushInterval = FLUSH_INTERVAL,
    performance_report: Annotated[
        Path | None,
        typer.Option(
            envvar="DASKINGEST_PERFORMANCE_REPORT",
            help="HTML file for Dask's report of the run: tasks, workers, profile.",
            show_default="none",
        ),
    ] = None,
    strict: Strict = False,
    no_progress: NoProgress = False,
) -> None:
    """Count the articles of CSV files into the store.

    Can be interrupted at any time, even killed: the same command goes on where it was, also on
    another machine or with other --workers, and counts every article once. A file that is done is
    left alone. The first Ctrl-C finishes what is in flight, the second stops at once.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but with rejects and --strict, 130
    interrupted.
    """
    settings = Settings(
        store=store,
        workers=workers,
        scheduler=scheduler,
        batch_bytes=batch_bytes,
        content_column=content_column,
        publication_column=publication_column,
        model=model,
        limit=limit,
        rejects=str(rejects),
        flush_interval=flush_interval,
        performance_report=str(performance_report) if performance_report else None,
    )
    raise typer.Exit(count_files(files, settings, strict=strict, progress=not no_progress))


@app.command()
def serve(
    host: Host = _SERVE.host,
    port: Port = _SERVE.port,
    store: Store = DEFAULT_STORE,
    workers: Workers = None,
    scheduler: Scheduler = None,
    model: Model = None,
    flush_interval: FlushInterval = FLUSH_INTERVAL,
    data_dir: Annotated[
        Path,
        typer.Option(
            envvar="DASKINGEST_DATA_DIR",
            help="Folder for the spool: what was acknowledged and is not in the store.",
        ),
    ] = Path(_SERVE.data_dir),
    private: Annotated[
        bool,
        typer.Option("--private", envvar="DASKINGEST_PRIVATE", help="Reading needs a key too."),
    ] = False,
    drain_timeout: Annotated[
        float,
        typer.Option(
            envvar="DASKINGEST_DRAIN_TIMEOUT",
            min=0.0,
            help="Seconds to count what is in the spool when asked to end; the rest waits for "
            "the next start.",
        ),
    ] = _SERVE.drain_timeout,
    max_spool_bytes: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_MAX_SPOOL_BYTES",
            min=1,
            help="Bytes that may wait to be counted; beyond, submissions are refused with 503.",
        ),
    ] = _SERVE.max_spool_bytes,
    max_body_bytes: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_MAX_BODY_BYTES", min=1, help="Largest JSON body, unpacked."
        ),
    ] = _SERVE.max_body_bytes,
    max_upload_bytes: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_MAX_UPLOAD_BYTES", min=1, help="Largest NDJSON body, unpacked."
        ),
    ] = _SERVE.max_upload_bytes,
    max_article_bytes: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_MAX_ARTICLE_BYTES", min=1, help="Largest article, as JSON."
        ),
    ] = _SERVE.max_article_bytes,
    batch_articles: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_BATCH_ARTICLES", min=1, help="Most articles of a micro-batch."
        ),
    ] = _SERVE.batch_articles,
    batch_bytes: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_BATCH_BYTES", min=1, help="Bytes at which a micro-batch is full."
        ),
    ] = BATCH_BYTES,
    batch_seconds: Annotated[
        float,
        typer.Option(
            envvar="DASKINGEST_BATCH_SECONDS",
            min=0.0,
            help="Seconds an article waits for its batch to fill up while all workers are busy.",
        ),
    ] = _SERVE.batch_seconds,
) -> None:
    """Take articles over HTTP and count them into the store.

    What it acknowledges is on disk and is counted once, whatever is killed. Keys come from
    DASKINGEST_API_KEY (several with commas between them), and are sent as `Authorization: Bearer
    KEY`. The first Ctrl-C or SIGTERM refuses new articles and finishes the spool, the second one
    stops at once. /openapi.json describes the requests.
    """
    from daskingest.cli.serving import keys_from
    from daskingest.cli.serving import serve as run_service

    settings = ServeSettings(
        host=host,
        port=port,
        store=store,
        workers=workers,
        scheduler=scheduler,
        model=model,
        flush_interval=flush_interval,
        data_dir=str(data_dir),
        keys=keys_from(os.environ.get("DASKINGEST_API_KEY")),
        private=private,
        drain_timeout=drain_timeout,
        max_spool_bytes=max_spool_bytes,
        max_body_bytes=max_body_bytes,
        max_upload_bytes=max_upload_bytes,
        max_article_bytes=max_article_bytes,
        batch_articles=batch_articles,
        batch_bytes=batch_bytes,
        batch_seconds=batch_seconds,
    )
    raise typer.Exit(run_service(settings))


@app.command()
def upload(
    file: Annotated[
        str, typer.Argument(metavar="CSV", help="A CSV file, as `run-csv` takes them.")
    ],
    url: Annotated[
        str, typer.Option(envvar="DASKINGEST_URL", help="The service's address.")
    ] = _UPLOAD.url,
    count: Annotated[
        int | None,
        typer.Option(
            envvar="DASKINGEST_COUNT", min=1, help="Send the first N articles.", show_default="all"
        ),
    ] = None,
    repeat: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_REPEAT",
            min=1,
            help="Send them so many times over; each time they are other articles.",
        ),
    ] = _UPLOAD.repeat,
    concurrency: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_CONCURRENCY",
            min=1,
            max=1000,
            help="Requests that wait for an answer at once.",
        ),
    ] = _UPLOAD.concurrency,
    batch: Annotated[
        int | None,
        typer.Option(
            envvar="DASKINGEST_BATCH",
            min=1,
            max=1000,  # the rejects that the service lists in one answer
            help="Articles in a request: 1 goes as JSON, more as lines of JSON.",
            show_default=f"{_UPLOAD.batch}, 1 with --legacy",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            envvar="DASKINGEST_RATE",
            min=0.001,
            help="Articles a second, evenly.",
            show_default="as many as the service takes",
        ),
    ] = None,
    open_loop: Annotated[
        bool,
        typer.Option(
            "--open-loop",
            envvar="DASKINGEST_OPEN_LOOP",
            help="Measure: keep to the --rate whatever is answered, send nothing again, and count "
            "latency from when a request was due. Not --concurrency is the limit then, but 1,000.",
        ),
    ] = False,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="DASKINGEST_API_KEY",
            help="The service's key; of several with commas between them the first. Others on "
            "this machine may see options, but not the environment.",
        ),
    ] = None,
    legacy: Annotated[
        bool,
        typer.Option(
            "--legacy",
            envvar="DASKINGEST_LEGACY",
            help="Use the older clients' call: POST /post/enqueue, the key as access_token.",
        ),
    ] = False,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", envvar="DASKINGEST_INSECURE", help="Take any certificate."),
    ] = False,
    gzip: Annotated[
        bool | None,
        typer.Option(
            "--gzip/--no-gzip",
            envvar="DASKINGEST_GZIP",
            help="Compress what is sent.",
            show_default="where a request has several articles",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            envvar="DASKINGEST_RESUME",
            help="Go on with an upload that was interrupted; begin one if there is none.",
        ),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            envvar="DASKINGEST_STATE",
            help="File that says how far the upload is.",
            show_default="the CSV file's name and .upload.json, in this folder",
        ),
    ] = None,
    patience: Annotated[
        float,
        typer.Option(
            envvar="DASKINGEST_PATIENCE",
            min=0.0,
            help="Seconds to try again while the service takes nothing.",
        ),
    ] = _UPLOAD.patience,
    content_column: ContentColumn = None,
    publication_column: PublicationColumn = None,
    rejects: Rejects = Path(REJECTS),
    strict: Strict = False,
    no_progress: NoProgress = False,
    as_json: AsJson = False,
) -> None:
    """Send the articles of a CSV file to a service.

    What is refused for the time, or not answered, is sent again until the service has it, and
    counts once. The first Ctrl-C waits for the answers that are under way, the second stops at
    once; the same command with --resume goes on where it was, also after it was killed. Without
    --resume all articles are sent, and count, anew.

    Exit codes: 0 all sent, 1 failed, 2 wrong usage, 3 sent but with rejects and --strict, 130
    interrupted.
    """
    from daskingest.cli.serving import keys_from
    from daskingest.cli.uploading import upload_file

    batch = batch or (1 if legacy else _UPLOAD.batch)
    settings = UploadSettings(
        url=url.rstrip("/"),
        count=count,
        repeat=repeat,
        concurrency=concurrency,
        batch=batch,
        rate=rate,
        open_loop=open_loop,
        key=next(iter(keys_from(api_key)), None),
        legacy=legacy,
        insecure=insecure,
        gzip=batch > 1 if gzip is None else gzip,
        resume=resume,
        state=str(state) if state else None,
        patience=patience,
        content_column=content_column,
        publication_column=publication_column,
        rejects=str(rejects),
    )
    raise typer.Exit(upload_file(file, settings, strict, progress=not no_progress, as_json=as_json))


@app.command()
def explore(
    store: Store = DEFAULT_STORE,
    host: Host = _SERVE.host,
    port: Port = _SERVE.port,
    model: Model = None,
) -> None:
    """Look at a store's counts in a browser: the pages of `serve`, without its intake.

    Also while `run-csv` counts into the store. If DASKINGEST_API_KEY is set, the browser asks for
    a key: any user name, the key as password.
    """
    from daskingest.cli.serving import explore as show
    from daskingest.cli.serving import keys_from

    show(store, host, port, model, keys_from(os.environ.get("DASKINGEST_API_KEY")))


@app.command()
def publications(store: Store = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """List the publications and the number of their articles."""
    from daskingest.stores import open_store

    with open_store(store) as opened:
        found = opened.publications()
    if as_json:
        _print_json([{"name": p.name, "key": p.key, "count": p.count} for p in found])
        return
    table = Table("publication", box=None)
    table.add_column("articles", justify="right")
    for each in found:
        table.add_row(_plain(each.name), f"{each.count:,}")
    Console().print(table)


@app.command()
def top(
    publication: Annotated[str, typer.Argument(help="Its name; case and spacing don't matter.")],
    number: Annotated[
        int, typer.Option("-n", envvar="DASKINGEST_N", min=1, help="How many words to show.")
    ] = 20,
    label: Annotated[
        str | None,
        typer.Option(
            envvar="DASKINGEST_LABEL", help="Only entities of this type, such as ORG or PERSON."
        ),
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Show the most frequent entities of a publication."""
    from daskingest.api import find_publication
    from daskingest.stores import open_store

    with open_store(store) as opened:
        key = find_publication(opened, publication).key
        found = opened.words(key, number, label=label.upper() if label else None)
    if as_json:
        _print_json([{"word": w.word, "count": w.count, "labels": w.labels} for w in found])
        return
    table = Table("word", box=None)
    table.add_column("count", justify="right")
    table.add_column("labels")
    for each in found:
        labels = sorted(each.labels.items(), key=lambda item: (-item[1], item[0]))
        text = ", ".join(f"{name} {count:,}" for name, count in labels)
        table.add_row(_plain(each.word), f"{each.count:,}", text)
    Console().print(table)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="A file to write, ending in .csv or .parquet.")],
    store: Store = DEFAULT_STORE,
) -> None:
    """Write all counts to a file: publication, word, label, count."""
    from daskingest.export import write_counts
    from daskingest.stores import open_store

    with open_store(store) as opened:
        rows = write_counts(opened, out)
    Console(stderr=True).print(f"{rows:,} rows in {out}", highlight=False, markup=False)


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    articles: Annotated[
        int | None,
        typer.Option("--articles", min=1, envvar="DASKINGEST_ARTICLES", help="How many articles."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--bytes", min=1, envvar="DASKINGEST_BYTES", help="How many bytes, at the least."
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(envvar="DASKINGEST_SEED", help="Another number makes other articles."),
    ] = 0,
) -> None:
    """Write made-up articles, to try things with: as many as you like.

    The columns are those of All-the-News 2.0. The texts are sentences of the bundled articles with
    other entities in them, of realistic lengths (half have more than 400 words), and marked as made
    up. The same seed gives the same articles.
    """
    from daskingest.cli.sampling import write

    write(out, articles, size, seed)


@app.command()
def prune(
    store: Store = DEFAULT_STORE,
    older_than: Annotated[
        float,
        typer.Option(
            envvar="DASKINGEST_OLDER_THAN", min=0.0, help="Hours that a run must have been done."
        ),
    ] = 24.0,
) -> None:
    """Shorten the ledger: forget the batches of files that were counted whole.

    The files stay known as counted. Run it when no `run-csv` of such a file is going on elsewhere.
    A service shortens its part of the ledger by itself.
    """
    from daskingest.prune import prune as prune_ledger
    from daskingest.stores import open_store

    open_store(store).close()  # there must be one
    with open_store(store, create=True) as opened:
        removed = prune_ledger(opened, older_than * 3600)
    Console(stderr=True).print(f"{removed:,} entries removed", highlight=False, markup=False)


@app.command()
def bench(
    corpus: Annotated[
        Path | None,
        typer.Option(
            envvar="DASKINGEST_CORPUS",
            help="A CSV of articles to measure with.",
            show_default="../shared/data/news-20k.csv if it is there, or the bundled sample",
        ),
    ] = None,
    model: Model = None,
    workers: Workers = None,
    quick: Annotated[
        bool, typer.Option("--quick", envvar="DASKINGEST_QUICK", help="Within five minutes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine extracts entities, against spaCy and against its limit."""
    from daskingest.cli.benching import run_bench

    run_bench(corpus, model, workers, quick=quick, as_json=as_json)


def _plain(text: str) -> Any:
    """Text from articles as the terminal may show it: no markup, no control characters."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
