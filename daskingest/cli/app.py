"""The program: its commands, in the order of `--help`."""

from __future__ import annotations

from typing import Annotated

import typer

from daskingest import __version__
from daskingest.cli.commands.bench import bench
from daskingest.cli.commands.doctor import doctor
from daskingest.cli.commands.download import download
from daskingest.cli.commands.explore import explore
from daskingest.cli.commands.export import export
from daskingest.cli.commands.prune import prune
from daskingest.cli.commands.publications import publications
from daskingest.cli.commands.publish import publish
from daskingest.cli.commands.run import run
from daskingest.cli.commands.run_csv import run_csv
from daskingest.cli.commands.sample import sample
from daskingest.cli.commands.scheduler import scheduler
from daskingest.cli.commands.serve import serve
from daskingest.cli.commands.top import top
from daskingest.cli.commands.trend import trend
from daskingest.cli.commands.upload import upload
from daskingest.cli.commands.worker import worker
from daskingest.cli.options import with_options

app = typer.Typer(
    name="daskingest",
    help="Counts who and what each publication writes about: named entities from news articles, "
    "extracted with spaCy on a Dask cluster, each counted exactly once.",
    no_args_is_help=True,
    rich_markup_mode=None,
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


for _work in (
    *(run, run_csv, serve, upload, explore, publications, top, trend),
    *(export, publish, sample, download, prune, worker, scheduler, bench, doctor),
):
    app.command()(with_options(_work))
