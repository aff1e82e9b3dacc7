"""Firestore's errors: which ones are transient, and what a user can do about the others."""

from __future__ import annotations

from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError

_INDEXES = "cluster/firestore.indexes.json"

_TRANSIENT = (
    exceptions.Aborted,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.TooManyRequests,
)

_TOO_LARGE = ("too big", "too large", "larger than max", "exceeds")


def says_too_large(error: Exception) -> bool:
    """Whether a request was refused because of its size."""
    text = str(error).lower()
    return any(words in text for words in _TOO_LARGE)


def _is_transient(error: Exception) -> bool:
    return isinstance(error, _TRANSIENT) and not says_too_large(error)


RETRY = Retry(predicate=_is_transient, initial=0.5, maximum=8.0, multiplier=2.0, timeout=20.0)
"""With jitter. If an error lasts longer, the saver reports it and tries again."""

READ_SECONDS = 30.0
"""For one answer to a saver. By default the client waits five minutes for one that got lost."""

CHECK_RETRY = Retry(predicate=_is_transient, initial=0.5, maximum=2.0, multiplier=2.0, timeout=10.0)
"""For checking that the database is there, while a user waits."""


def advice(error: Exception, project: str) -> str:
    """What to do about an error of the client, with its message, in one line."""
    cause: BaseException = error
    if isinstance(error, exceptions.RetryError) and error.cause is not None:
        cause = error.cause
    text = str(getattr(cause, "message", "") or cause).strip().partition("\n")[0]
    match cause:
        case GoogleAuthError():
            return (
                "no credentials; run `gcloud auth application-default login`, or name a service "
                f"account's key file in GOOGLE_APPLICATION_CREDENTIALS ({text})"
            )
        case exceptions.PermissionDenied() | exceptions.Unauthenticated():
            return (
                "not allowed; give the account the role roles/datastore.user in the project "
                f"{project}, if that is the right project ({text})"
            )
        case exceptions.NotFound():
            return (
                "no such database; check the project's name, or create the database with "
                f"`gcloud firestore databases create --project {project}` ({text})"
            )
        case exceptions.FailedPrecondition() if "Datastore Mode" in text:
            return (
                "a database in Datastore mode; create one in native mode with "
                f"`gcloud firestore databases create --project {project} --type firestore-native` "
                f"and name it, firestore://{project}/DATABASE ({text})"
            )
        case exceptions.FailedPrecondition() if "index" in text:
            return (
                f"an index is missing; create those of {_INDEXES} with `firebase deploy --only "
                f"firestore:indexes` or as its README says ({text})"
            )
    return text
