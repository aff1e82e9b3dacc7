"""The record of a download, and whether the disk has room for it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from daskingest.errors import DownloadError
from daskingest.files import write_atomically

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which remote file the downloaded bytes belong to and, at the end, the result."""

    url: str
    size: int | None = None
    """Size of the complete file in bytes; None: the server doesn't say."""
    etag: str | None = None
    modified: str | None = None
    result: str | None = None
    """The name of the resulting file. The file may not exist yet, but if it does, it is ours."""
    result_size: int | None = None

    @classmethod
    def load(cls, path: Path) -> Manifest | None:
        """The manifest in a file, if there is one and it can be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Save it, completely or not at all, readable only by the user: a URL may have a token."""
        write_atomically(path, json.dumps(asdict(self), indent=2) + "\n", mode=0o600)

    def is_of(self, answer: httpx.Response, start: int) -> bool:
        """Whether an answer to a Range request continues the same file at `start`."""
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if not found or (int(found[1]), int(found[2])) != (start, self.size):
            return False
        if etag := answer.headers.get("etag"):
            return bool(etag == self.etag)
        return bool(answer.headers.get("last-modified", self.modified) == self.modified)


def check_room(folder: Path, size: int, what: str) -> None:
    """Raise DownloadError if a folder's disk has no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DownloadError(
            f"no room for {what}: {size:,} bytes are needed in {folder}, {free:,} are free; "
            "free some, or name another --data-dir"
        )
