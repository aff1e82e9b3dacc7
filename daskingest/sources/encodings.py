"""Files in other encodings than UTF-8: told by their bytes, and read as if they were in it."""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, BinaryIO, cast

from daskingest.errors import UsageError
from daskingest.sources.origin import Origin

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

UTF8 = "utf-8"
UTF8_MARK = b"\xef\xbb\xbf"

_MARKS = (  # UTF-32's first: what begins with its mark of little-endian begins with UTF-16's, too
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (UTF8_MARK, UTF8),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_ALIKE = frozenset(("ascii", "utf-8", "utf-8-sig"))
_LOOK = 4096
_MANY, _FEW = 0.4, 0.1
_SEQUENCE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_CUT_OFF = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{0,2}\Z")
_HIGH = re.compile(rb"[\x80-\xff]")
_NOT_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_INVALID = "daskingest.invalid"
_BLOCK = 1 << 20


def encoding_named(name: str | None) -> str:
    """Python's name of an encoding; empty for UTF-8, and for what is the same in it.

    Raises UsageError if there is none of that name.
    """
    if name is None:
        return ""
    try:
        found = codecs.lookup(name.strip())
        "".encode(found.name)
    except (LookupError, ValueError):
        raise UsageError(
            f"no such encoding: {name!r}; expected a name such as utf-16, cp1252, latin-1 or "
            "shift_jis with --encoding"
        ) from None
    return "" if found.name in _ALIKE else found.name


def marked(head: bytes) -> str:
    """The encoding whose byte order mark a file begins with; empty without one."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), "")


def require_utf8(name: str, head: bytes) -> None:
    """Raise UsageError if what a file begins with shows that it is UTF-16 or UTF-32."""
    found = marked(head) or _wide(head)
    if found not in ("", UTF8):
        raise UsageError(
            f"{name} is {found.upper()}: expected UTF-8; read it with --encoding {found}"
        )


def require_mark_of(name: str, head: bytes, encoding: str) -> None:
    """Raise UsageError if a file begins with the byte order mark of another encoding."""
    found = marked(head)
    if found and not encoding.startswith(found):
        advice = "leave out --encoding" if found == UTF8 else f"use --encoding {found}"
        raise UsageError(
            f"{name} begins with the byte order mark of {found.upper()}, so it is not {encoding}: "
            f"{advice}"
        )


def looks_like(name: str, head: bytes) -> list[str]:
    """What is to be said of a file that does not look like UTF-8, from what it begins with."""
    others, valid = _SEQUENCE.subn(b"", _CUT_OFF.sub(b"", head))
    rest = _HIGH.findall(others)
    if len(rest) <= valid:  # or it is UTF-8, and a few rows are damaged
        return []
    if any(map(_NOT_IN_CP1252.match, rest)):
        guess, option = "it is in some other encoding", "its name in --encoding"
    else:
        guess, option = "it looks like cp1252 (Windows) or Latin-1", "--encoding cp1252"
    return [
        f"{name} is not UTF-8: {guess}; rows that are not are rejected; or read it with {option}"
    ]


def _wide(head: bytes) -> str:
    """The encoding in which every second byte, or more, is NUL; empty if that is not so."""
    sample = head[:_LOOK]
    if len(sample) < 8:
        return ""
    nul = [sample[i::4].count(0) / len(sample[i::4]) for i in range(4)]
    if nul[0] < _FEW and min(nul[2:]) > 1 - _FEW:
        return "utf-32-le"
    if nul[3] < _FEW and min(nul[:2]) > 1 - _FEW:
        return "utf-32-be"
    if max(nul[0::2]) < _FEW and min(nul[1::2]) > _MANY:
        return "utf-16-le"
    return "utf-16-be" if max(nul[1::2]) < _FEW and min(nul[0::2]) > _MANY else ""


@dataclass(frozen=True, slots=True)
class EncodedOrigin(Origin):
    """A file in another encoding, whose content is given in UTF-8, as one stream.

    What cannot be decoded becomes bytes that are not UTF-8 either, so its row is a reject.
    """

    encoding: str = UTF8

    @property
    def packed(self) -> bool:
        """See `Origin.packed`."""
        return True

    @property
    def content_size(self) -> int | None:
        """See `Origin.content_size`."""
        return None

    def open(self) -> BinaryIO:
        """See `Origin.open`."""
        # By its name: a class with slots that dataclass makes anew has no super() without it.
        return cast(BinaryIO, io.BufferedReader(_Decoded(Origin.open(self), self.encoding), _BLOCK))


def decoded(origin: Origin, encoding: str) -> EncodedOrigin:
    """The same file, in this encoding."""
    its = {each.name: getattr(origin, each.name) for each in fields(origin)}
    return EncodedOrigin(**its, encoding=encoding)


class _Decoded(io.RawIOBase):
    """A stream in UTF-8 of one in another encoding."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(_INVALID)
        self._ready = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """See `io.RawIOBase`."""
        while not self._ready and not self._ended:
            block = self._stream.read(_BLOCK)
            self._ended = not block
            text = self._decoder.decode(block, final=self._ended)
            self._ready = memoryview(text.encode(UTF8, _INVALID))
        with memoryview(buffer).cast("B") as view:
            size = min(len(view), len(self._ready))
            view[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        """See `io.RawIOBase`."""
        self._stream.close()
        super().close()


def _invalid(error: UnicodeError) -> tuple[str | bytes, int]:
    """A lone surrogate for what cannot be decoded, and for that a byte that UTF-8 has not."""
    match error:
        case UnicodeDecodeError():
            return "\udcff", error.end
        case UnicodeEncodeError():
            return b"\xff" * (error.end - error.start), error.end
    raise error


codecs.register_error(_INVALID, _invalid)
