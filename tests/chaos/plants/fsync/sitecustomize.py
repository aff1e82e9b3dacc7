"""A planted fault: SQLite files are not fsynced."""

from typing import Any

from daskingest.sqlite_file import SqliteFile

_init = SqliteFile.__init__


def _careless(self: SqliteFile, *arguments: Any, **options: Any) -> None:
    _init(self, *arguments, **options)
    self.connection.execute("PRAGMA synchronous = OFF")


SqliteFile.__init__ = _careless  # type: ignore[method-assign]
