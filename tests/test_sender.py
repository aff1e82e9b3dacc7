"""Delivering parcels to a real server in this process, without any waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stub import Answered, Request, Stub, taken

from daskingest.errors import UsageError
from daskingest.pipeline.rejects import RejectsFile
from daskingest.settings import UploadSettings
from daskingest.sources.csvfile import open_csv
from daskingest.upload.answers import UploadError
from daskingest.upload.checkpoint import Checkpoint
from daskingest.upload.measured import Measured
from daskingest.upload.parcels import parcels
from daskingest.upload.report import UploadReport
from daskingest.upload.sender import Delivery, Sender, Stopped, open_client
from daskingest.upload.state import UploadState

Deliver = Callable[..., "Delivered"]


@dataclass
class Delivered:
    """What became of the one parcel of a file, and what is known of the way there."""

    delivery: Delivery
    measured: Measured
    trouble: str
    halved: list[str]


@pytest.fixture
def deliver(
    tmp_path: Path, write_csv: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Deliver:
    """Delivers a parcel of four articles to a server, with these options."""
    monkeypatch.chdir(tmp_path)
    path = write_csv([("p", f"text {i}") for i in range(4)])

    def to(stub: Stub, stopping: bool = False, **options: Any) -> Delivered:
        settings = UploadSettings(url=stub.url, batch=4, gzip=False, **options)
        file = open_csv(path)
        state = UploadState.open(file, path, settings)
        report = UploadReport(path, settings.url, state.run)
        checkpoint = Checkpoint(report, state, RejectsFile(settings.rejects), lasting=False)
        [parcel] = parcels(file, settings)

        async def go() -> Delivered:
            stop = asyncio.Event()
            if stopping:
                stop.set()
            async with open_client(settings, 1) as client:
                sender = Sender(client, settings, checkpoint, report.measured, stop)
                delivery = await sender.deliver(parcel)
            parts = [parcel, *parcel.halves(settings)]
            halved = [each.name for each in parts if state.is_halved(each)]
            return Delivered(delivery, report.measured, sender.trouble, halved)

        return asyncio.run(go())

    return to


def test_what_is_taken_is_delivered(deliver: Deliver) -> None:
    with Stub() as stub:
        found = deliver(stub, key="k")
    assert (found.delivery, found.measured.requests) == (Delivery(), 1)
    [request] = stub.requests
    assert request.headers["authorization"] == "Bearer k"
    assert request.headers["content-type"] == "application/x-ndjson"
    assert request.key.endswith("-0-0-4")


def test_what_is_too_large_goes_in_halves(deliver: Deliver) -> None:
    def answer(request: Request) -> Answered:
        ids = [each["id"] for each in request.articles]
        return (413, {}, b"") if len(ids) > 2 or ids == [3] or 3 in ids else taken(request)

    with Stub(answer) as stub:
        found = deliver(stub)
    assert [len(request.articles) for request in stub.requests] == [4, 2, 2, 1, 1]
    assert [(each.row, each.reason) for each in found.delivery.rejects] == [
        (2, "too large for the service")
    ]
    assert found.halved == ["0-0-4", "0-2-2"]


def test_an_open_loop_misses_what_is_not_taken_at_once(deliver: Deliver) -> None:
    with Stub(lambda request: (503, {}, b"")) as stub:
        found = deliver(stub, open_loop=True, rate=1.0)
    assert (found.delivery.missed, found.measured.requests) == (4, 1)
    assert found.measured.troubles == {"answered 503": 1}


def test_nothing_is_sent_again_once_it_is_to_stop(deliver: Deliver) -> None:
    with Stub(lambda request: (503, {}, b"")) as stub, pytest.raises(Stopped):
        deliver(stub, stopping=True)
    assert len(stub.requests) == 1


def test_patience_ends(deliver: Deliver) -> None:
    later = Stub(lambda request: (503, {"Retry-After": "60"}, b'{"error": "full"}'))
    with later as stub, pytest.raises(UploadError, match=r"answered 503 \(full\); .* --patience 5"):
        deliver(stub, patience=5.0)
    assert len(stub.requests) == 1


def test_the_older_call_has_its_own_address_and_key(deliver: Deliver) -> None:
    with Stub(lambda request: (201, {}, b"")) as stub:
        deliver(stub, legacy=True, key="k")
    [request] = stub.requests
    assert (request.path, request.headers["access_token"]) == ("/post/enqueue", "k")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:8000", "to be like http://127.0.0.1:8000"),
        ("http://", "to be like http://127.0.0.1:8000"),
        ("http://x?a=b", "to be like http://127.0.0.1:8000"),
        ("http://x:65536", "to be like http://127.0.0.1:8000"),
        ("http://x:port", "is not a URL"),
        ("http://x:secret@host", "expected a URL without a key"),
    ],
)
def test_what_is_no_address_of_a_service_is_said(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        open_client(UploadSettings(url=url), 1)
    assert "secret" not in str(error.value)
