"""Transfers one file over HTTP, resuming an earlier transfer that was interrupted."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from daskingest import __version__
from daskingest.download.manifest import Manifest, check_room
from daskingest.download.step import Step
from daskingest.errors import DownloadError
from daskingest.progress import Progress
from daskingest.proxies import ProxiedTransport

LOOK = "look at the page that offers the file, and give its current address with --url"

UNPACKED = 3.5
"""Estimated ratio of a zip's contents to its size, until it has been downloaded."""

_UNREACHABLE = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    UnicodeError,  # from the socket module, for an impossible host or port
    OverflowError,
)
_AGAIN = {408, 429, 500, 502, 503, 504}
_MAX_WAIT_SECONDS = 30.0  # between two attempts
_ZIP = b"PK"  # the first bytes of every zip, even an empty one


@dataclass(frozen=True, slots=True)
class Patience:
    """When to give up an attempt, and when the transfer."""

    silence: float = 30.0
    """Seconds for which a server may send nothing."""
    pause: float = 0.5
    """Seconds before the second attempt; doubled before each further one."""
    attempts: int = 9
    """Consecutive attempts without any progress."""


def _transport(proxy: httpx.Proxy | None) -> httpx.HTTPTransport:
    return httpx.HTTPTransport(proxy=proxy)


class _BrokenError(Exception):
    """An attempt failed, but another one may succeed."""


class Transfer:
    """The file at an address, the part of it that is here, and its manifest.

    The part and the manifest are consistent even if the process is killed at any time.
    """

    def __init__(self, url: httpx.URL, path: Path, progress: Progress, patience: Patience) -> None:
        self.part = path.with_name(f"{path.name}.part")
        self.manifest_path = path.with_name(f"{path.name}.download.json")
        self.manifest = Manifest.load(self.manifest_path)
        self.shown = str(url.copy_with(userinfo=b"", query=None, fragment=None))
        self.url = str(url.copy_with(userinfo=b"", fragment=None))
        self._address = url
        self._progress = progress
        self._patience = patience
        self._reached = False

    @property
    def have(self) -> int:
        """How many bytes are here."""
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def is_whole(self) -> bool:
        """Whether all of it is here."""
        manifest = self.manifest
        return manifest is not None and self.part.exists() and self.have == manifest.size

    def discard(self) -> None:
        """Remove the part that is here."""
        self.part.unlink(missing_ok=True)

    def keep(self, manifest: Manifest) -> None:
        """Save a manifest, and use it from now on."""
        manifest.save(self.manifest_path)
        self.manifest = manifest

    def fetch(self) -> None:
        """Get what is missing, in several attempts if needed. Raises DownloadError, OSError."""
        if self.manifest is None or self.manifest.url != self.url:
            self.discard()
        furthest, failures = self.have, 0
        with self._client() as client:
            while not self.is_whole:
                try:
                    self._attempt(client)
                except (httpx.RequestError, *_UNREACHABLE, _BrokenError) as error:
                    failures = 1 if self.have > furthest else failures + 1
                    furthest = max(furthest, self.have)
                    self._wait(error, failures)

    def _client(self) -> httpx.Client:
        headers = {"User-Agent": f"daskingest/{__version__}", "Accept-Encoding": "identity"}
        timeout = httpx.Timeout(self._patience.silence)
        try:
            return httpx.Client(
                follow_redirects=True,
                timeout=timeout,
                headers=headers,
                transport=ProxiedTransport(_transport, self._address),
            )
        except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
            raise DownloadError(
                f"cannot use the proxy or the certificates that the environment names: {error}"
            ) from None

    def _attempt(self, client: httpx.Client) -> None:
        asked = self._range()
        with client.stream("GET", self._address, headers=asked) as answer:
            self._reached = True
            status = answer.status_code
            same = self.manifest is not None and self.manifest.is_of(answer, self.have)
            if asked and status in (206, 416) and not same:
                self.discard()
                raise _BrokenError("the file on the server has changed")
            self._check(answer, {200, 206} if asked else {200})
            if status == 200:
                self._begin_anew(answer)
            self._receive(answer)

    def _range(self) -> dict[str, str]:
        """The headers that ask for the rest, if it is certain to fit the part that is here."""
        manifest, have = self.manifest, self.have
        if manifest is None or manifest.size is None or not have:
            return {}
        rest = {"Range": f"bytes={have}-"}
        etag, modified = manifest.etag or "", manifest.modified or ""
        if not (etag + modified).isascii():  # can't be sent back
            return {}
        if etag.startswith('"'):
            return {**rest, "If-Range": etag}
        if modified:
            return {**rest, "If-Range": modified}
        # Dropbox sends tags without quotes, which are not allowed in If-Range; `is_of` compares
        # them instead. Weak tags don't guarantee the same bytes, but a zip has checksums.
        if etag and (not etag.startswith("W/") or self.begins_as_zip()):
            return rest
        return {}

    def begins_as_zip(self) -> bool:
        """Whether the part that is here begins like a zip."""
        with self.part.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP

    def _check(self, answer: httpx.Response, expected: set[int]) -> None:
        """Raise the error for an answer that does not contain bytes of the file."""
        status = answer.status_code
        text = f"{status} {httpx.codes.get_reason_phrase(status)}".strip()
        if status in _AGAIN:
            raise _BrokenError(f"{answer.url.host} answered {text}")
        if status not in expected:
            raise DownloadError(f"{self.shown} answered {text}; {LOOK}")
        steps = [each.url.scheme for each in (*answer.history, answer)]
        if self._address.scheme == "https" and "http" in steps:
            raise DownloadError(
                f"{self.shown} redirects to an address without TLS, {answer.url.host}"
            )
        encoding = answer.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise DownloadError(
                f"expected {self.shown} without encoding, but it is sent as {encoding!r}"
            )

    def _begin_anew(self, answer: httpx.Response) -> None:
        headers = answer.headers
        length = headers.get("content-length", "")
        size = int(length) if length.isdigit() and "transfer-encoding" not in headers else None
        self.discard()
        self.keep(Manifest(self.url, size, headers.get("etag"), headers.get("last-modified")))

    def _receive(self, answer: httpx.Response) -> None:
        assert self.manifest is not None
        size, done = self.manifest.size, self.have
        if size is not None:
            unpacked, what = 0, "the file"
            if self.shown.lower().endswith(".zip"):
                unpacked, what = int(size * UNPACKED), "the zip and what is in it (estimated)"
            check_room(self.part.parent, size - done + unpacked, what)
        step = Step(self._progress, "downloading", done, size)
        with self.part.open("ab") as file:
            for piece in answer.iter_raw():
                file.write(piece)
                done += len(piece)
                step.show(done)
        if size is None:
            self.keep(replace(self.manifest, size=done))
        elif done != size:
            if done > size:
                self.discard()
            raise _BrokenError(f"received {done:,} bytes instead of {size:,}")

    def _wait(self, error: Exception, failures: int) -> None:
        """Wait before the next attempt. Raises DownloadError if there should be none."""
        host = self._address.host
        reason = str(error) or type(error).__name__
        reason = "".join(c if c.isprintable() else "?" for c in reason)
        if not self._reached and isinstance(error, _UNREACHABLE):
            raise DownloadError(
                f"cannot reach {host}: {reason}; check the address and the network, "
                "then run the same command again"
            ) from None
        if failures >= self._patience.attempts or isinstance(error, httpx.TooManyRedirects):
            raise DownloadError(
                f"no complete answer from {host}: {reason}; try again later with the same command, "
                "which resumes"
            ) from None
        seconds = min(self._patience.pause * 2 ** (failures - 1), _MAX_WAIT_SECONDS)
        self._progress.say(f"interrupted: {reason}; trying again in {seconds:g} s")
        time.sleep(seconds)
