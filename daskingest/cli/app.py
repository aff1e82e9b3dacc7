"""The commands. What they need is imported when they run, so that `--help` answers at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from daskingest import __version__
from daskingest.cli.counting import count_files
from daskingest.settings import BATCH_BYTES, DEFAULT_STORE, FLUSH_INTERVAL, REJECTS, Settings

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


Store = Annotated[
    str,
    typer.Option(
        envvar="DASKINGEST_STORE",
        help="Where the counts are: sqlite:///PATH, with a fourth slash for an absolute path.",
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
    scheduler: Annotated[
        str | None,
        typer.Option(
            envvar="DASKINGEST_SCHEDULER",
            help="Use the Dask cluster at this address (tcp:// or tls://) instead of a new one.",
        ),
    ] = None,
    batch_bytes: Annotated[
        int,
        typer.Option(
            envvar="DASKINGEST_BATCH_BYTES",
            min=1,
            help="Bytes of the file in one task. A run that goes on keeps the value it began with.",
        ),
    ] = BATCH_BYTES,
    content_column: Annotated[
        str | None,
        typer.Option(
            envvar="DASKINGEST_CONTENT_COLUMN",
            help="The column with the articles' texts.",
            show_default="article, content or text",
        ),
    ] = None,
    publication_column: Annotated[
        str | None,
        typer.Option(
            envvar="DASKINGEST_PUBLICATION_COLUMN",
            help="The column with the publications' names.",
            show_default="publication or source",
        ),
    ] = None,
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
    rejects: Annotated[
        Path,
        typer.Option(
            envvar="DASKINGEST_REJECTS",
            help="File for the rows that could not be taken, and why; JSON lines, added to.",
        ),
    ] = Path(REJECTS),
    flush_interval: Annotated[
        float,
        typer.Option(
            envvar="DASKINGEST_FLUSH_INTERVAL",
            min=0.0,
            help="Seconds that counts wait for others before they are committed.",
        ),
    ] = FLUSH_INTERVAL,
    strict: Annotated[
        bool, typer.Option("--strict", envvar="DASKINGEST_STRICT", help="Exit with 3 on rejects.")
    ] = False,
    no_progress: Annotated[
        bool,
        typer.Option(
            "--no-progress", envvar="DASKINGEST_NO_PROGRESS", help="Print only the summary."
        ),
    ] = False,
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
    )
    raise typer.Exit(count_files(files, settings, strict=strict, progress=not no_progress))


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
