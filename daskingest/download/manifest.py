"""Files that are fetched: which ones they are, and whether the disk has room for them."""

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
    """Which file the bytes here belong to and, in the end, what became of it."""

    url: str
    size: int | None = None
    """Of the whole file, in bytes; None: the server doesn't tell."""
    etag: str | None = None
    modified: str | None = None
    result: str | None = None
    """The name of the file made of it; it may be missing, but is no other's."""
    result_size: int | None = None

    @classmethod
    def load(cls, path: Path) -> Manifest | None:
        """The manifest in a file, if there is one that can be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Write it, whole or not at all. Nobody else may read it: a URL may have a token."""
        write_atomically(path, json.dumps(asdict(self), indent=2) + "\n", mode=0o600)

    def is_of(self, answer: httpx.Response, start: int) -> bool:
        """Whether an answer to a Range goes on with the same file at `start`."""
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
            "make room, or name another --data-dir"
        )
