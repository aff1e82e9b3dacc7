"""For notebooks and scripts: counts as pandas DataFrames, files as Dask DataFrames, and runs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from daskingest.articles import Article
from daskingest.errors import DaskingestError, UsageError
from daskingest.months import month_text
from daskingest.progress import Progress
from daskingest.settings import DEFAULT_STORE
from daskingest.shown import NEWS, NO_ALIASES
from daskingest.sources.csvfile import CsvFile, open_csv
from daskingest.sources.csvrows import CsvRange
from daskingest.sources.datafile import DataRange
from daskingest.sources.gathering import gather
from daskingest.sources.opening import open_file
from daskingest.sources.origin import Origin
from daskingest.spelling import spelled
from daskingest.stores import open_store
from daskingest.stores.periods import trends_of
from daskingest.stores.reading import find_publication, open_to_read
from daskingest.text import word_of

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

    from daskingest.pipeline.summary import Summary


T = TypeVar("T")


def publications(store: str = DEFAULT_STORE) -> pd.DataFrame:
    """The publications of the store at a URL: columns `name`, `key`, `count` (articles)."""
    import pandas as pd

    with open_store(store) as opened:
        rows = [(each.name, each.key, each.count) for each in opened.publications()]
    return pd.DataFrame(rows, columns=["name", "key", "count"])


def words(
    store: str = DEFAULT_STORE,
    publication: str | None = None,
    label: str | None = None,
    by: Literal["label", "month"] = "label",
    aliases: str = NO_ALIASES,
) -> pd.DataFrame:
    """The counts: columns `publication`, `word`, `label`, `count`, and `name`, the word as it is
    written; the most frequent first.

    For all publications, or the one named; for all labels, or one. `by` month instead, of articles
    with a date: columns `publication`, `word`, `month` (its first day), `count`, in the order of
    the words. Each word is as it was counted, unless `aliases` says which words are one: `news`, or
    a CSV file, as for the commands. Raises UsageError if there is no such publication, or a label
    is asked for by month.
    """
    import pandas as pd

    if by == "month":
        if label is not None:
            raise UsageError("labels are not counted by month: leave out the label, or the month")
        return _by_month(store, publication, aliases)
    with open_to_read(store, aliases) as opened:
        key = find_publication(opened, publication).key if publication is not None else None
        rows = opened.all_words(key)
        frame = pd.DataFrame(
            [
                (*row[:4], spelled(row[1], row[4]))
                for row in rows
                if label is None or row[2] == label
            ],
            columns=["publication", "word", "label", "count", "name"],
        )
    order = ["count", "publication", "word", "label"]
    return frame.sort_values(order, ascending=[False, True, True, True], ignore_index=True)


def _by_month(store: str, publication: str | None, aliases: str) -> pd.DataFrame:
    import pandas as pd

    with open_to_read(store, aliases) as opened:
        wanted = [find_publication(opened, publication)] if publication else opened.publications()
        rows = [
            (each.name, word, month_text(month), count)
            for each in wanted
            for word, months in opened.all_months(each.key)
            for month, count in sorted(months.items())
        ]
    frame = pd.DataFrame(rows, columns=["publication", "word", "month", "count"])
    frame["month"] = pd.to_datetime(frame["month"], format="%Y-%m")
    return frame


def trend(
    *words: str,
    store: str = DEFAULT_STORE,
    publication: str | None = None,
    aliases: str = NEWS,
) -> pd.DataFrame:
    """How often words are mentioned from month to month: columns `word`, `publication`, `month`
    (its first day), `count`, `articles` (of the publication in that month), `per_1000`.

    A row for each month in which the publication has articles, of each publication that mentions
    the word in one with a date. `aliases` are words that are counted as one, as for the command
    `trend`; `none` has each word alone. Raises UsageError if there is no such publication.
    """
    import pandas as pd

    with open_to_read(store, aliases) as opened:
        wanted = [find_publication(opened, publication)] if publication else opened.publications()
        found = trends_of(opened, list(dict.fromkeys(map(word_of, words))), wanted)
    rows = [
        (
            each.word.name,
            each.publication.name,
            month_text(month),
            count,
            each.articles[month],
            rate,
        )
        for each in found
        if each.mentions
        for month, rate in each.rates().items()
        for count in (each.mentions.get(month, 0),)
    ]
    columns = ["word", "publication", "month", "count", "articles", "per_1000"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["month"] = pd.to_datetime(frame["month"], format="%Y-%m")
    return frame


def run(*files: str, progress: bool = False, **settings: Any) -> list[Summary]:
    """Count files into a store, as `daskingest run` does, and return a summary of each.

    With `progress`, it shows its progress, in a notebook below the cell. `settings` are the fields
    of `daskingest.settings.Settings`: `store`, `workers`, `limit` and so on. In a script, call it
    under `if __name__ == "__main__":`, because the workers are processes that import the script.
    Raises DaskingestError, also when all is counted but for some of the files.
    """
    from rich.console import Console

    from daskingest.pipeline.run import Run
    from daskingest.progress import Display
    from daskingest.settings import Settings

    async def go() -> list[Summary]:
        with Display(Console(stderr=not progress), progress) as display:
            return await Run([str(file) for file in files], Settings(**settings), display)()

    summaries = _run_anywhere(go)
    if failed := [each for each in summaries if each.error]:
        raise DaskingestError(
            f"{len(failed):,} of {len(summaries):,} files were not counted, or not all of them: "
            f"{failed[0].error}" + ("; ..." if len(failed) > 1 else "")
        )
    return summaries


def run_csv(*files: str, progress: bool = False, **settings: Any) -> list[Summary]:
    """The same as `run`, under its earlier name."""
    return run(*files, progress=progress, **settings)


def _run_anywhere(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function, on another thread if this one has an event loop, as in Jupyter."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(1, "daskingest") as thread:
        return thread.submit(asyncio.run, work()).result()


def read_csv(
    path: str,
    batch_bytes: int = 16 << 20,
    content_column: str | None = None,
    publication_column: str | None = None,
    encoding: str | None = None,
) -> dd.DataFrame:
    """A CSV of articles as a Dask DataFrame whose partitions hold whole rows.

    It may be compressed; of an archive, a folder or a pattern, all files are read, which must have
    the same columns. All columns are strings. Unlike with `dask.dataframe.read_csv`, fields may
    contain newlines. Rows that are damaged or have the wrong number of fields are left out. Raises
    UsageError as `run` does.
    """

    def opened(origin: Origin) -> CsvFile:
        return open_csv(origin, content_column, publication_column, encoding=encoding)

    files = _gathered(path, opened)
    names = files[0].layout.names
    for each in files:
        if each.layout.names != names:
            raise UsageError(
                f"{each.origin.name} has the columns {each.layout.names}, and the first file "
                f"{names}: read them one by one"
            )
    parts = [part for each in files for part in each.ranges(batch_bytes)]
    return _lazily(_read_range, parts, _frame([], names))


def read_articles(path: str, batch_bytes: int = 16 << 20, **settings: Any) -> dd.DataFrame:
    """The articles of a file as a Dask DataFrame: columns `publication` and `content`.

    The file may be CSV, JSON Lines or Parquet, and packed as for `read_csv`. `settings` are the
    fields of `daskingest.settings.FileSettings`: `content_column`, `publication_column`, `encoding`
    and so on. Rows that are no articles are left out. Raises UsageError as `run` does.
    """
    from daskingest.settings import FileSettings

    options = FileSettings(**settings)
    files = _gathered(path, lambda origin: open_file(origin, options))
    parts = [part for each in files for part in each.ranges(batch_bytes)]
    return _lazily(_articles, parts, _articles_frame([]))


def _gathered(path: str, opened: Callable[[Origin], T]) -> list[T]:
    found = gather([path], opened, Progress())
    if found.refused:
        raise found.refused[0].error
    return found.files


def _lazily(
    read: Callable[[Any], pd.DataFrame], parts: Sequence[DataRange], meta: pd.DataFrame
) -> dd.DataFrame:
    import dask.dataframe as dd

    frames: Any = dd
    whole: dd.DataFrame = (
        frames.from_map(read, parts, meta=meta) if parts else frames.from_pandas(meta, 1)
    )
    return whole


def _articles(part: DataRange) -> pd.DataFrame:
    found = (each for each in part.rows() if isinstance(each, Article))
    return _articles_frame([(each.publication, each.content) for each in found])


def _articles_frame(rows: list[tuple[str, str]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=["publication", "content"], dtype="str")


def _read_range(part: CsvRange) -> pd.DataFrame:
    width = part.layout.width
    good = (r.fields for r in part.records() if r.damage is None and len(r.fields) == width)
    return _frame(list(good), part.layout.names)


def _frame(rows: list[list[str]], names: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    unique = [name or f"Unnamed: {i}" for i, name in enumerate(names)]
    taken: set[str] = set()
    for i, name in enumerate(unique):
        numbered = (f"{name}.{n}" for n in itertools.count(1))
        unique[i] = name if name not in taken else next(n for n in numbered if n not in taken)
        taken.add(unique[i])
    return pd.DataFrame(rows, columns=unique, dtype="str")


def extract_entities(texts: dd.Series, model: str | None = None) -> dd.DataFrame:
    """The entities in a Dask Series of texts: columns `text`, `label`, `start`, `end`, `word`.

    One row per entity, with the index of its text; `start` and `end` are positions in the text, in
    characters, and `word` is the word that the entity is counted as. Missing texts have no
    entities. Raises UsageError if there is no such model.
    """
    from daskingest.models import find_model

    found = find_model(model)
    mapped: dd.DataFrame = texts.map_partitions(_entities, found, meta=_entity_frame([], []))
    return mapped


def _entities(texts: pd.Series[str], model: str) -> pd.DataFrame:
    from daskingest.extraction import entities_in

    index: list[Any] = []
    rows: list[tuple[str, str, int, int, str]] = []
    for at, text in texts.items():
        for start, end, label in entities_in(text, model) if isinstance(text, str) else ():
            entity = text[start:end]
            rows.append((entity, label, start, end, word_of(entity)))
            index.append(at)
    return _entity_frame(rows, index)


def _entity_frame(rows: list[tuple[str, str, int, int, str]], index: list[Any]) -> pd.DataFrame:
    import pandas as pd

    types = {"text": "str", "label": "str", "start": "int64", "end": "int64", "word": "str"}
    frame = pd.DataFrame(rows, columns=list(types), index=index or None)
    return frame.astype(types)
