"""Sends parcels to the service, repeatedly if needed, until their outcome is known."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from daskingest import __version__
from daskingest.articles import Reject
from daskingest.errors import UsageError
from daskingest.proxies import AsyncProxiedTransport
from daskingest.settings import UploadSettings
from daskingest.shared_options import HIGHEST_PORT
from daskingest.upload.answers import Accepted, Judgement, RetryLater, UploadError, judge, shown
from daskingest.upload.checkpoint import Checkpoint
from daskingest.upload.measured import Measured
from daskingest.upload.parcels import Parcel
from daskingest.upload.schedule import backoff

_TIMEOUT = httpx.Timeout(60, connect=10, pool=None)
_IDLE_SECONDS = 3.0  # that idle connections are kept; uvicorn closes them after 5


class Stopped(Exception):
    """The upload was stopped; it is not known what became of the parcel."""


@dataclass(slots=True)
class Delivery:
    """The outcome for a parcel: rejects, and the number missed; the service has the others."""

    rejects: list[Reject] = field(default_factory=list)
    missed: int = 0


def open_client(settings: UploadSettings, connections: int) -> httpx.AsyncClient:
    """A client for the service. Raises UsageError if the URL is not valid, or if the environment
    names a proxy or certificates that can't be used.
    """
    url = _service_url(settings.url)
    limits = httpx.Limits(
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=_IDLE_SECONDS,
    )

    def transport(proxy: httpx.Proxy | None) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=not settings.insecure, http2=True, limits=limits, proxy=proxy
        )

    try:
        return httpx.AsyncClient(
            base_url=url,
            headers=_headers(settings),
            timeout=_TIMEOUT,
            transport=AsyncProxiedTransport(transport, url),
        )
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        raise UsageError(
            f"cannot use the proxy or the certificates that the environment names: {error}"
        ) from None


def _service_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise UsageError(f"{text!r} is not a URL: {error}") from None
    possible = (url.port or 0) <= HIGHEST_PORT and not url.query and not url.fragment
    if url.scheme not in ("http", "https") or not url.host or not possible:
        raise UsageError(f"expected --url to be like http://127.0.0.1:8000, found {shown(text)!r}")
    if url.userinfo:
        raise UsageError("expected a URL without a key: set the key in DASKINGEST_API_KEY")
    return url


def _headers(settings: UploadSettings) -> dict[str, str]:
    one = settings.articles_per_request == 1
    headers = {
        "User-Agent": f"daskingest/{__version__}",
        "Content-Type": "application/json" if one else "application/x-ndjson",
    }
    if settings.compressed:
        headers["Content-Encoding"] = "gzip"
    if settings.key is not None and settings.legacy:
        headers["access_token"] = settings.key
    elif settings.key is not None:
        headers["Authorization"] = f"Bearer {settings.key}"
    return headers


class Sender:
    """Delivers parcels, and measures requests.

    Before the first half of a parcel is sent, it is saved that the parcel was halved. Once
    `stopping` is set, outstanding answers are awaited, and nothing is sent again.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        settings: UploadSettings,
        checkpoint: Checkpoint,
        measured: Measured,
        stopping: asyncio.Event,
    ) -> None:
        self._client = client
        self._settings = settings
        self._path = "/post/enqueue" if settings.legacy else "/articles"
        self._checkpoint = checkpoint
        self._measured = measured
        self._stopping = stopping
        self._not_before = 0.0  # no request before this time: the service asked for it
        self._since: float | None = None  # since when nothing was accepted
        self.trouble = ""

    async def deliver(self, parcel: Parcel) -> Delivery:
        """Send a parcel until the service has accepted it, or has rejected parts of it.

        Raises Stopped, and DaskingestError if it makes no sense to continue.
        """
        if not self._checkpoint.state.is_halved(parcel):
            judgement = await self._exchange(parcel)
            if isinstance(judgement, Accepted):
                self._measured.replayed += judgement.replayed
                return Delivery(list(_rejects(parcel, judgement)))
            if isinstance(judgement, RetryLater):
                return Delivery(missed=len(parcel.items))
            if len(parcel.items) == 1:
                unfit = Accepted({0: (judgement.reason, judgement.detail)})
                return Delivery(list(_rejects(parcel, unfit)))
            self._checkpoint.state.halve(parcel)
            await self._checkpoint.save()
        whole = Delivery()
        for half in parcel.halves(self._settings):
            delivery = await self.deliver(half)
            whole.rejects += delivery.rejects
            whole.missed += delivery.missed
        return whole

    async def pause(self, seconds: float) -> None:
        """Wait for so many seconds. Raises Stopped."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
        if self._stopping.is_set():
            raise Stopped

    async def _exchange(self, parcel: Parcel) -> Judgement:
        """The judgement on a parcel: in an open loop the first one, otherwise the final one."""
        patient = not self._settings.open_loop
        tries = 0
        while True:
            while patient and (wait := self._not_before - time.monotonic()) > 0:
                await self.pause(wait)
            judgement = await self._try(parcel)
            if not isinstance(judgement, RetryLater):
                self._since, self.trouble = None, ""
                return judgement
            self._measured.troubles[judgement.reason] += 1
            if not patient:
                return judgement
            tries += 1
            await self.pause(self._wait(judgement, tries))

    def _wait(self, judgement: RetryLater, tries: int) -> float:
        """Seconds until the next attempt. Raises UploadError when `patience` is exhausted."""
        now, patience = time.monotonic(), self._settings.patience
        wait = backoff(tries, random.random())
        if judgement.wait is not None:
            self._not_before = max(self._not_before, now + judgement.wait)
            wait = max(wait, judgement.wait)
        self._since = now if self._since is None else self._since
        said = f"{self._settings.url}: {judgement.reason}" + (
            f" ({judgement.detail})" if judgement.detail else ""
        )
        if now + wait > self._since + patience:
            raise UploadError(
                f"{said}; nothing was accepted for {now - self._since:,.0f} s, and the next "
                f"attempt would be after --patience {patience:g}. --resume continues with what is "
                "left"
            )
        self.trouble = said
        return wait

    async def _try(self, parcel: Parcel) -> Judgement:
        self._measured.requests += 1
        try:
            answer = await self._client.post(
                self._path,
                content=parcel.body,
                headers={"Idempotency-Key": self._checkpoint.state.prefix + parcel.name},
            )
        except httpx.RequestError as error:
            return self._no_answer(error)
        return judge(answer, parcel, self._settings.legacy, datetime.now(UTC))

    def _no_answer(self, error: httpx.RequestError) -> RetryLater:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise UploadError(
                    f"the certificate of {self._settings.url} cannot be verified: "
                    f"{cause.verify_message}; name its authority's file in SSL_CERT_FILE, or "
                    "accept any certificate with --insecure"
                ) from None
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.TimeoutException):
            reason = "no answer in time"
        elif isinstance(error, httpx.ConnectError):
            reason = "no connection"
        elif isinstance(error, httpx.DecodingError):
            reason = "an answer that cannot be read"
        else:
            reason = "the connection was lost"
        return RetryLater(reason, shown(error))


def _rejects(parcel: Parcel, taken: Accepted) -> Iterator[Reject]:
    for place, (reason, detail) in sorted(taken.rejected.items()):
        item = parcel.items[place]
        yield Reject(reason, detail, item.row, item.offset)
