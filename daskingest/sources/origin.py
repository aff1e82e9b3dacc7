"""Where the bytes of a file come from, and what they are known by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from fsspec.core import url_to_fs
from fsspec.utils import infer_compression

from daskingest.errors import UsageError
from daskingest.sources.checksum import checksum
from daskingest.sources.streams import open_stream, read_fully, reading

_FINGERPRINT_SAMPLES = 32
_FINGERPRINT_BYTES = 64 << 10
_HEAD_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Origin:
    """A file, local or anywhere that fsspec can read. Open it with `find_origin`.

    `size` is in bytes, as it lies there. `compression` is fsspec's name of the compression.
    """

    path: str
    size: int
    compression: str | None

    @property
    def packed(self) -> bool:
        """Whether it can only be read from its beginning: its ranges then carry their bytes."""
        return self.compression is not None

    def open(self) -> BinaryIO:
        """Its content as a stream of bytes, unpacked."""
        return open_stream(self.path, self.compression)

    def size_now(self) -> int:
        """Its size in bytes, which may have changed since it was opened."""
        with reading(self.path):
            fs, inner = url_to_fs(self.path)
            return int(fs.info(inner)["size"])

    def head(self, size: int | None = None) -> str:
        """The checksum of what the file begins with; of the file cut to `size`, if it is given."""
        size = self.size if size is None else size
        with reading(self.path), open_stream(self.path, None) as stream:
            return checksum(read_fully(stream, min(size, _HEAD_BYTES)))

    def fingerprint(self, size: int | None = None) -> str:
        """16 hexadecimal digits for the file's size and samples of its content, not its name.

        The same for a copy of the file on another machine. With `size` it is that of the file cut
        to so many bytes. Two files may share it: the checksums of their ranges tell them apart.
        """
        if size is None:
            size = self.size_now()
        with reading(self.path), open_stream(self.path, None) as stream:
            digest = hashlib.sha256(str(size).encode())
            step = max(1, (size - _FINGERPRINT_BYTES) // (_FINGERPRINT_SAMPLES - 1))
            last = max(0, size - _FINGERPRINT_BYTES)
            for offset in (*range(0, size, max(step, _FINGERPRINT_BYTES)), last):
                stream.seek(offset)
                digest.update(stream.read(min(_FINGERPRINT_BYTES, size - offset)))
        return digest.hexdigest()[:16]


def find_origin(path: str) -> Origin:
    """The file at a path or URL. Raises UsageError if there is none, or if it is a directory."""
    try:
        fs, inner = url_to_fs(path)
        info = cast(dict[str, Any], fs.info(inner))
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except (ValueError, ImportError, OSError) as error:
        raise UsageError(f"cannot open {path}: {error}") from None
    if info["type"] == "directory":
        raise UsageError(f"{path} is a directory: expected a CSV file")
    local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
    return Origin(inner if local else path, info["size"], infer_compression(path))
