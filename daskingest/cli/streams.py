"""Standard output and standard error that end no work, whatever they are connected to."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from typing import TYPE_CHECKING

from daskingest.errors import DaskingestError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_GONE = {errno.EPIPE, errno.EIO, errno.ECONNRESET}  # nobody reads any more: a pipe, a terminal
_RESULTS = 1


def prepare() -> None:
    """Make this process's output safe, once, before anything is printed.

    What the encoding doesn't have is written as an escape, unless PYTHONIOENCODING says otherwise.
    Where nobody reads any more, as after `| head -1`, output goes nowhere, and the work goes on.
    Messages that cannot be written are lost; results that cannot, as on a full disk, raise
    DaskingestError. A stream that was closed at the start is one to nowhere: no file that is opened
    later takes its place.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _safe(stream))


def in_utf8() -> bool:
    """Whether standard output can show any character."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def finish() -> None:
    """Write what standard output still holds. Raises DaskingestError if it cannot be written."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _safe(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    raw = _Output(stream.fileno(), "w", closefd=False)
    strict = stream.errors in ("strict", "surrogateescape")
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace" if strict else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Output(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        if not memoryview(data).nbytes:
            return 0  # a library tries whether it can write, and does not mind an error
        try:
            return super().write(data)
        except OSError as error:
            results = self.fileno() == _RESULTS
            gone = error.errno in _GONE and not stat.S_ISREG(os.fstat(self.fileno()).st_mode)
            if gone or results:
                self._leave()
            if results and not gone:
                raise DaskingestError(
                    f"cannot write the results to standard output: {error.strerror}"
                ) from None
            return memoryview(data).nbytes

    def _leave(self) -> None:
        """From now on, write to nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
