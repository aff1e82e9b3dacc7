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
from daskingest.cli.options import (
    ApiKey,
    AsJson,
    Batch,
    BatchArticles,
    BatchBytes,
    BatchSeconds,
    Concurrency,
    ContentColumn,
    Count,
    DataDir,
    DrainTimeout,
    FlushInterval,
    Gzip,
    Host,
    Insecure,
    Legacy,
    Limit,
    LogFile,
    LogFormat,
    LogLevel,
    MaxArticleBytes,
    MaxBodyBytes,
    MaxSpoolBytes,
    MaxUploadBytes,
    Model,
    NoProgress,
    OpenLoop,
    Patience,
    PerformanceReport,
    Port,
    Private,
    PublicationColumn,
    Rate,
    Rejects,
    Repeat,
    Resume,
    Scheduler,
    State,
    Store,
    Strict,
    Workers,
)
from daskingest.logs import Format, Level, LogSettings
from daskingest.settings import (
    ALL_THE_NEWS,
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
    batch_bytes: BatchBytes = BATCH_BYTES,
    content_column: ContentColumn = None,
    publication_column: PublicationColumn = None,
    model: Model = None,
    limit: Limit = None,
    rejects: Rejects = Path(REJECTS),
    flush_interval: FlushInterval = FLUSH_INTERVAL,
    performance_report: PerformanceReport = None,
    strict: Strict = False,
    no_progress: NoProgress = False,
    log_level: LogLevel = Level.WARNING,
    log_format: LogFormat = Format.TEXT,
    log_file: LogFile = None,
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
    log = LogSettings(level=log_level, format=log_format, file=log_file)
    raise typer.Exit(count_files(files, settings, log, strict=strict, progress=not no_progress))


@app.command()
def serve(
    host: Host = _SERVE.host,
    port: Port = _SERVE.port,
    store: Store = DEFAULT_STORE,
    workers: Workers = None,
    scheduler: Scheduler = None,
    model: Model = None,
    flush_interval: FlushInterval = FLUSH_INTERVAL,
    data_dir: DataDir = Path(_SERVE.data_dir),
    private: Private = False,
    drain_timeout: DrainTimeout = _SERVE.drain_timeout,
    max_spool_bytes: MaxSpoolBytes = _SERVE.max_spool_bytes,
    max_body_bytes: MaxBodyBytes = _SERVE.max_body_bytes,
    max_upload_bytes: MaxUploadBytes = _SERVE.max_upload_bytes,
    max_article_bytes: MaxArticleBytes = _SERVE.max_article_bytes,
    batch_articles: BatchArticles = _SERVE.batch_articles,
    batch_bytes: BatchBytes = BATCH_BYTES,
    batch_seconds: BatchSeconds = _SERVE.batch_seconds,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.JSON,
    log_file: LogFile = None,
) -> None:
    """Take articles over HTTP and count them into the store.

    What it acknowledges is on disk and is counted once, whatever is killed. Keys come from
    DASKINGEST_API_KEY (several with commas between them), and are sent as `Authorization: Bearer
    KEY`. The first Ctrl-C or SIGTERM refuses new articles and finishes the spool, the second one
    stops at once. /openapi.json describes the requests.
    """
    from daskingest.cli.serving import serve as run_service
    from daskingest.web.listening import keys_from

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
    log = LogSettings(level=log_level, format=log_format, file=log_file)
    raise typer.Exit(run_service(settings, log))


@app.command()
def upload(
    file: Annotated[
        str, typer.Argument(metavar="CSV", help="A CSV file, as `run-csv` takes them.")
    ],
    url: Annotated[
        str, typer.Option(envvar="DASKINGEST_URL", help="The service's address.")
    ] = _UPLOAD.url,
    count: Count = None,
    repeat: Repeat = _UPLOAD.repeat,
    concurrency: Concurrency = _UPLOAD.concurrency,
    batch: Batch = None,
    rate: Rate = None,
    open_loop: OpenLoop = False,
    api_key: ApiKey = None,
    legacy: Legacy = False,
    insecure: Insecure = False,
    gzip: Gzip = None,
    resume: Resume = False,
    state: State = None,
    patience: Patience = _UPLOAD.patience,
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
    from daskingest.cli.uploading import upload_file
    from daskingest.web.listening import keys_from

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
    log_level: LogLevel = Level.WARNING,
    log_format: LogFormat = Format.TEXT,
    log_file: LogFile = None,
) -> None:
    """Look at a store's counts in a browser: the pages of `serve`, without its intake.

    Also while `run-csv` counts into the store. If DASKINGEST_API_KEY is set, the browser asks for
    a key: any user name, the key as password.
    """
    from daskingest.cli.serving import explore as show
    from daskingest.web.listening import keys_from

    keys = keys_from(os.environ.get("DASKINGEST_API_KEY"))
    settings = ServeSettings(store=store, host=host, port=port, model=model, keys=keys)
    show(settings, LogSettings(level=log_level, format=log_format, file=log_file))


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
    from daskingest.stores import open_store
    from daskingest.stores.reading import find_publication

    with open_store(store) as opened:
        key = find_publication(opened, publication).key
        found = opened.words(key, number, label=label.upper() if label else None)
    if as_json:
        _print_json([{"word": w.word, "count": w.count, "labels": w.labels} for w in found])
        return
    if label and not found:
        _note(f"{_plain(publication)} has no entity with the label {label.upper()}")
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
    from daskingest.stores import open_store
    from daskingest.stores.export import write_counts

    with open_store(store) as opened:
        rows = write_counts(opened, out)
    _note(f"{rows:,} rows in {out}")


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
def download(
    url: Annotated[
        str,
        typer.Option(
            envvar="DASKINGEST_URL",
            help="The address of a zip with one CSV file in it, or of a CSV file.",
        ),
    ] = ALL_THE_NEWS,
    data_dir: DataDir = Path(_SERVE.data_dir),
    keep_zip: Annotated[
        bool,
        typer.Option(
            "--keep-zip", envvar="DASKINGEST_KEEP_ZIP", help="Don't remove the zip when unpacked."
        ),
    ] = False,
) -> None:
    """Fetch the data set All-the-News 2.0, or another CSV file, ready for `run-csv`.

    Can be interrupted at any time, even killed: the same command goes on where it was, as far as
    the server allows. Whether there is room is checked first. What is there already is left alone.

    The data set's page is https://components.one/datasets/all-the-news-2-news-articles-dataset/

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    from daskingest.cli.downloading import fetch

    raise typer.Exit(fetch(url, data_dir, keep_zip))


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

    The files stay known as counted, and so do batches with rejects. Run it when no `run-csv` of
    such a file is going on elsewhere. A service shortens its part of the ledger by itself.
    """
    from daskingest.stores import open_store
    from daskingest.stores.prune import prune as prune_ledger

    open_store(store).close()  # there must be one
    with open_store(store, create=True) as opened:
        removed = prune_ledger(opened, older_than * 3600)
    entries = "entry" if removed == 1 else "entries"
    _note(f"{removed:,} {entries} removed")


@app.command()
def bench(
    corpus: Annotated[
        Path | None,
        typer.Option(
            envvar="DASKINGEST_CORPUS",
            help="A CSV of articles to measure with.",
            show_default="real articles if they are at hand, or the bundled sample again and again",
        ),
    ] = None,
    model: Model = None,
    workers: Workers = None,
    quick: Annotated[
        bool, typer.Option("--quick", envvar="DASKINGEST_QUICK", help="Within five minutes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine extracts entities, against spaCy and bare matrix products."""
    from daskingest.cli.benching import run_bench

    run_bench(corpus, model, workers, quick=quick, as_json=as_json)


@app.command()
def doctor(
    model: Model = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    store: Store = DEFAULT_STORE,
    host: Host = _SERVE.host,
    port: Port = _SERVE.port,
    data_dir: DataDir = Path(_SERVE.data_dir),
    as_json: AsJson = False,
) -> None:
    """Look at all that daskingest needs, and say what is wrong and what to do about it.

    Give it the options that `run-csv` or `serve` are to have. It changes nothing.

    Exit codes: 0 no problem, though perhaps warnings; 1 a problem.
    """
    from daskingest.cli.doctoring import examine_and_print

    settings = ServeSettings(
        model=model,
        workers=workers,
        scheduler=scheduler,
        store=store,
        host=host,
        port=port,
        data_dir=str(data_dir),
    )
    raise typer.Exit(examine_and_print(settings, as_json))


def _plain(text: str) -> Any:
    """Text from articles as the terminal may show it: no markup, no control characters."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def _note(text: str) -> None:
    """Say something that is no result."""
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
