"""Downloads a CSV file, or the one in a zip, into a folder."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO

import httpx

from daskingest.download.manifest import check_room
from daskingest.download.transfer import LOOK, Patience, Transfer
from daskingest.download.unpack import ContentsError, csv_in, safe_name, unpack
from daskingest.errors import DownloadError, UsageError
from daskingest.files import durable_rename, lock_file
from daskingest.progress import Progress
from daskingest.shared_options import HIGHEST_PORT

_PAGES = (b"<!doctype html", b"<html")


def download(
    url: str,
    folder: Path,
    progress: Progress,
    keep_zip: bool = False,
    patience: Patience | None = None,
) -> tuple[Path, bool]:
    """Download `url` into `folder`. Returns the file, and whether it was created just now.

    A zip is unpacked: the one CSV file in it is the result. A file gets its name only when it is
    complete. After any interruption the same call resumes. Raises DownloadError, and UsageError for
    a wrong address or a folder in use.
    """
    address = _address(url)
    name = safe_name(address.path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            transfer = Transfer(address, folder / name, progress, patience or Patience())
            job = _Download(transfer, folder, name, progress)
            found = job.find()
            path = found or job.make()
            job.tidy(keep_zip)
            return path, found is None
    except OSError as error:
        where = error.filename or folder
        raise DownloadError(f"cannot write {where}: {error.strerror or error}") from None


class _Download:
    """The steps of a download, from the transfer to the result."""

    def __init__(self, transfer: Transfer, folder: Path, name: str, progress: Progress) -> None:
        self._transfer = transfer
        self._folder = folder
        self._plain = folder / name
        self._zip = folder / (name if name.lower().endswith(".zip") else f"{name}.zip")
        self._progress = progress
        self._kept = False

    def find(self) -> Path | None:
        """The result, if it is there already. A kept zip is used as the downloaded file."""
        manifest, transfer = self._transfer.manifest, self._transfer
        if manifest is not None:
            same = manifest.url == transfer.url
            if manifest.result and (path := self._folder / manifest.result).exists():
                if not same:
                    where = manifest.url.partition("?")[0]
                    raise UsageError(f"{path} is from {where}; name another --data-dir")
                if path.stat().st_size != manifest.result_size:
                    raise UsageError(
                        f"{path} was changed after the download; remove it to download it again"
                    )
                return path
            if same and self._zip.exists() and self._zip.stat().st_size == manifest.size:
                durable_rename(self._zip, transfer.part)
                self._kept = True
        for path in (self._plain, self._zip):
            _refuse(path)
        return None

    def make(self) -> Path:
        """Download what is missing, and make the result from it."""
        transfer = self._transfer
        transfer.fetch()
        if transfer.begins_as_zip():
            return self._unpack()
        with transfer.part.open("rb") as file:
            head = file.read(512).lstrip().lower()
        if not head or head.startswith(_PAGES):
            transfer.discard()
            found = "a web page" if head else "nothing"
            raise DownloadError(f"expected a zip or CSV file, {transfer.shown} is {found}; {LOOK}")
        self._claim(self._plain, transfer.have)
        durable_rename(transfer.part, self._plain)
        return self._plain

    def tidy(self, keep_zip: bool) -> None:
        """Remove the zip, or give it its name."""
        if (keep_zip or self._kept) and self._transfer.is_whole:
            durable_rename(self._transfer.part, self._zip)
        self._transfer.discard()

    def _unpack(self) -> Path:
        part = self._transfer.part
        try:
            member = csv_in(part)
            path = self._folder / safe_name(member.filename)
            new = path.with_name(f"{path.name}.unpacking")
            check_room(self._folder, member.file_size, path.name)
            self._claim(path, member.file_size)
            try:
                unpack(part, member, new, self._progress)
                durable_rename(new, path)
            finally:
                new.unlink(missing_ok=True)
        except ContentsError as error:
            durable_rename(part, self._zip)
            raise DownloadError(
                f"expected one CSV file in {self._zip}, found {error}; unpack what you need "
                "with another program"
            ) from None
        except zipfile.BadZipFile as error:
            self._transfer.discard()
            raise DownloadError(
                f"the zip from {self._transfer.shown} cannot be unpacked ({error}) and was "
                "removed; run the same command to download it again"
            ) from None
        return path

    def _claim(self, path: Path, size: int) -> None:
        """Record that a file of this name and size is ours, before it is created."""
        _refuse(path)
        assert self._transfer.manifest is not None
        self._transfer.keep(replace(self._transfer.manifest, result=path.name, result_size=size))


def _refuse(path: Path) -> None:
    if path.exists():
        raise UsageError(f"there is another file {path}; remove it, or name another --data-dir")


def _address(url: str) -> httpx.URL:
    """The parsed address. Raises UsageError."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL("")
    possible = (address.port or 0) <= HIGHEST_PORT
    if address.scheme not in ("http", "https") or not address.host or not possible:
        raise UsageError(f"expected an address that begins with https:// or http://, found {url!r}")
    return address


def _lock(folder: Path) -> IO[str]:
    """Lock a folder against other downloads until closed. Raises UsageError if one is running."""
    try:
        return lock_file(folder / "download.lock")
    except BlockingIOError:
        raise UsageError(
            f"another download into {folder} is running; wait, or name another --data-dir"
        ) from None
