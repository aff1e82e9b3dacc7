"""Logging: how much is logged, in what format, and where. A program sets it up once."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Annotated, Any

from daskingest.errors import UsageError
from daskingest.settings import Option

_LOGGERS = ("daskingest", "uvicorn")


class Level(StrEnum):
    """The least severe messages that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(StrEnum):
    """The log's format."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The log's options. Without a file, the log goes where the program shows its messages."""

    level: Annotated[Level, Option("The least severe messages to log.", name="--log-level")] = (
        Level.WARNING
    )
    format: Annotated[
        Format,
        Option("The log's format: text, or one JSON object per line.", name="--log-format"),
    ] = Format.TEXT
    file: Annotated[
        Path | None,
        Option("File to append the log to.", name="--log-file", shown="standard error"),
    ] = None


def set_up(settings: LogSettings, say: Callable[[str], None] | None = None) -> None:
    """Send the log of daskingest and its server to the file, else to `say`, else to standard error.

    The log is appended to the file, and the file is created again after it was moved, as logrotate
    does. Raises UsageError if it can't be written.
    """
    handler = _handler(settings, say)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        for before in logger.handlers:
            before.close()
        logger.handlers[:] = [handler]
        logger.setLevel(settings.level.upper())
        logger.propagate = False


def _handler(settings: LogSettings, say: Callable[[str], None] | None) -> logging.Handler:
    handler: logging.Handler
    if settings.file is not None:
        try:
            handler = WatchedFileHandler(settings.file, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise UsageError(
                f"cannot write the log {settings.file}: {error.strerror}; "
                "name another with --log-file"
            ) from None
    elif say is not None:
        handler = _MessageHandler(say)
    else:
        handler = logging.StreamHandler(sys.stderr)
    if settings.format is Format.JSON:
        handler.setFormatter(JsonFormatter(ascii_only=settings.file is None and not _in_utf8()))
    else:
        handler.setFormatter(
            _MessageFormatter() if isinstance(handler, _MessageHandler) else TextFormatter()
        )
    return handler


class Forward(logging.Handler):
    """Sends a process's log to another process, which passes it to `take_forwarded`."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        fields = {name: str(value) for name, value in _fields(record).items()}
        known = {
            name: getattr(record, name) for name in ("name", "levelno", "levelname", "created")
        }
        traceback = _traceback(record)
        self._send({**known, "msg": record.getMessage(), "exc_text": traceback, **fields})


def take_forwarded(sent: dict[str, Any]) -> None:
    """Log a record that another process has sent."""
    record = logging.makeLogRecord(sent)
    logging.getLogger(record.name).handle(record)


class _MessageHandler(logging.Handler):
    """Shows the log among the program's other messages."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(self.format(record))


def _in_utf8() -> bool:
    """Whether standard error can show any character."""
    return (getattr(sys.stderr, "encoding", None) or "").lower().replace("-", "") == "utf8"


class JsonFormatter(logging.Formatter):
    """Log records as JSON, one per line, with the fields given in `extra`."""

    def __init__(self, ascii_only: bool = False) -> None:
        super().__init__()
        self._ascii_only = ascii_only

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_fields(record),
        }
        if traceback := _traceback(record):
            line["traceback"] = traceback
        return json.dumps(line, ensure_ascii=self._ascii_only, default=str)


class _MessageFormatter(logging.Formatter):
    """Log records as messages on a terminal: without time and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, and the fields given in `extra`."""
        fields = (f"{name}={value}" for name, value in _fields(record).items())
        return " ".join((record.getMessage(), *fields))


class TextFormatter(_MessageFormatter):
    """Log records for people: one line, followed by the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The text."""
        line = f"{_time(record)} {record.levelname.lower():7} {super().format(record)}"
        traceback = _traceback(record)
        return f"{line}\n{traceback}" if traceback else line


_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields given in `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _USUAL}


def _traceback(record: logging.LogRecord) -> str | None:
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    return record.exc_text


def _time(record: logging.LogRecord) -> str:
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{when}.{int(record.msecs):03}Z"
