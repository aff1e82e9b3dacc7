"""PostgreSQL's errors: which ones are of the data, and what a user can do about the others."""

from __future__ import annotations

import psycopg
from psycopg import errors

OF_THE_DATA = (
    *(psycopg.DataError, psycopg.IntegrityError, UnicodeError),
    *(errors.ProgramLimitExceeded, errors.RaiseException),
)
"""What says that a value can't be written, whenever it is tried."""

_NOBODY_THERE = "check the host and the port, and that the server runs"
_READ_ONLY = "it can only be read, as a standby is: name the server that it follows"

_ADVICE = (
    ("password", "check the user and the password: in the URL, in PGPASSWORD, or in ~/.pgpass"),
    ("no pg_hba.conf entry", "let this user in from here, in the server's pg_hba.conf"),
    ("authentication failed", "check the user, and the server's pg_hba.conf"),
    ("read-only", _READ_ONLY),
    ("role", "check the user's name"),
    ("database", "check the database's name, or create it with `createdb NAME`"),
    *((each, _NOBODY_THERE) for each in ("refused", "No such file", "host name", "timeout")),
)
"""By what an error in connecting says, which has no code; the first that fits."""


def lost(error: psycopg.Error) -> bool:
    """Whether the connection may be of no more use."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def advice(error: psycopg.Error) -> str:
    """What happened, and what to do about it where that is known, in one line."""
    match error:
        case errors.InsufficientPrivilege():
            hint = "ask the database's owner to GRANT it"
        case errors.ReadOnlySqlTransaction():
            hint = _READ_ONLY
        case errors.LockNotAvailable():
            return "another program has been writing for a minute"
        case psycopg.OperationalError() if error.sqlstate is None:
            text = str(error)
            hint = next((its for words, its in _ADVICE if words in text), "")
        case _:
            hint = ""
    told = " ".join((error.diag.message_primary or str(error)).split()) or type(error).__name__
    return f"{told}: {hint}" if hint else told
