"""What users are told about Firestore's errors, and which ones are transient."""

from __future__ import annotations

import re

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError

from daskingest.stores.firestore_errors import RETRY, advice, says_too_large


def made(kind: type[Exception], *arguments: object) -> Exception:
    return kind(*arguments)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (exceptions.PermissionDenied, r"roles/datastore.user in the project p, .*\(no\)$"),
        (exceptions.Unauthenticated, r"roles/datastore.user"),
        (exceptions.NotFound, r"databases create --project p`"),
        (DefaultCredentialsError, r"gcloud auth application-default login"),
        (exceptions.Unknown, r"^no$"),
    ],
)
def test_an_error_is_told_with_what_to_do(kind: type[Exception], said: str) -> None:
    error = made(kind, "no\nsecond line")
    for each in (error, made(exceptions.RetryError, "timeout", error)):
        assert re.search(said, advice(each, "p"))


def test_what_passes_is_tried_again_and_too_large_a_request_is_not() -> None:
    passes = RETRY._predicate
    assert passes(made(exceptions.Aborted, "x"))
    assert passes(made(exceptions.ServiceUnavailable, "x"))
    assert passes(made(exceptions.ResourceExhausted, "quota"))
    assert not passes(made(exceptions.ResourceExhausted, "message larger than max"))
    assert not passes(made(exceptions.PermissionDenied, "x"))
    assert says_too_large(made(exceptions.InvalidArgument, "Transaction too big."))
    assert not says_too_large(made(exceptions.InvalidArgument, "x"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The query requires an index.", r"cluster/firestore.indexes.json"),
        ("the stored version (2) does not match the required base version (1)", r"^the stored"),
        ("The API is not available for Firestore in Datastore Mode database p.", r"native mode"),
    ],
)
def test_a_precondition_that_failed_is_told_by_its_text(text: str, said: str) -> None:
    assert re.search(said, advice(made(exceptions.FailedPrecondition, text), "p"))
