"""Fetches one file over HTTP, and goes on where an earlier transfer of it broke off."""

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

LOOK = "look at the page that offers the file, and name its address with --url"

UNPACKED = 3.5
"""How many times a zip's size its contents are taken to have, until it is here and tells."""

_UNREACHABLE = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    UnicodeError,  # from the socket module, for a host or a port that no address can have
    OverflowError,
)
_AGAIN = {408, 429, 500, 502, 503, 504}
_MAX_WAIT_SECONDS = 30.0  # between two attempts
_ZIP = b"PK"  # how every zip begins, even an empty one


@dataclass(frozen=True, slots=True)
class Patience:
    """When an attempt, and when the transfer, is given up."""

    silence: float = 30.0
    """Seconds in which a server that is asked or is sending sends nothing."""
    pause: float = 0.5
    """Seconds before the second attempt; doubled before each further one."""
    attempts: int = 9
    """Attempts one after another that got no further."""


class _BrokenError(Exception):
    """An attempt failed, and another one may not."""


class Transfer:
    """The file at an address, the part of it that is here, and the manifest that it belongs to.

    Part and manifest agree whenever the process is killed.
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
        """Remove what is here of it."""
        self.part.unlink(missing_ok=True)

    def keep(self, manifest: Manifest) -> None:
        """Have this as the manifest from now on."""
        manifest.save(self.manifest_path)
        self.manifest = manifest

    def fetch(self) -> None:
        """Get what is missing, in as many attempts as it takes. Raises DownloadError, OSError."""
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
            return httpx.Client(follow_redirects=True, timeout=timeout, headers=headers)
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
                raise _BrokenError("the file there is another one now")
            self._check(answer, {200, 206} if asked else {200})
            if status == 200:
                self._begin_anew(answer)
            self._receive(answer)

    def _range(self) -> dict[str, str]:
        """The headers that ask for the rest, if what is here can be relied on to go with it."""
        manifest, have = self.manifest, self.have
        if manifest is None or manifest.size is None or not have:
            return {}
        rest = {"Range": f"bytes={have}-"}
        etag, modified = manifest.etag or "", manifest.modified or ""
        if not (etag + modified).isascii():  # nothing that can be sent back
            return {}
        if etag.startswith('"'):
            return {**rest, "If-Range": etag}
        if modified:
            return {**rest, "If-Range": modified}
        # Dropbox sends tags without quotes, which must not stand in If-Range; `is_of` compares
        # them. Weak ones promise less than the same bytes, but a zip has checksums.
        if etag and (not etag.startswith("W/") or self.begins_as_zip()):
            return rest
        return {}

    def begins_as_zip(self) -> bool:
        """Whether what is here has a zip's first bytes."""
        with self.part.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP

    def _check(self, answer: httpx.Response, expected: set[int]) -> None:
        """Raise what an answer means that has no bytes of the file."""
        status = answer.status_code
        text = f"{status} {httpx.codes.get_reason_phrase(status)}".strip()
        if status in _AGAIN:
            raise _BrokenError(f"{answer.url.host} answered {text}")
        if status not in expected:
            raise DownloadError(f"{self.shown} answered {text}; {LOOK}")
        steps = [each.url.scheme for each in (*answer.history, answer)]
        if self._address.scheme == "https" and "http" in steps:
            raise DownloadError(f"{self.shown} leads to an address without TLS, {answer.url.host}")
        encoding = answer.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise DownloadError(f"expected {self.shown} as it is, but it is sent as {encoding!r}")

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
            raise _BrokenError(f"{done:,} bytes came instead of {size:,}")

    def _wait(self, error: Exception, failures: int) -> None:
        """Wait for the next attempt. Raises DownloadError if there is to be none."""
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
                f"no answer from {host} is complete: {reason}; try again later, the same command "
                "goes on where it was"
            ) from None
        seconds = min(self._patience.pause * 2 ** (failures - 1), _MAX_WAIT_SECONDS)
        self._progress.say(f"broken off: {reason}; trying again in {seconds:g} s")
        time.sleep(seconds)
