"""What a file is: its first bytes tell."""

from __future__ import annotations

import re
from enum import StrEnum

from daskingest.errors import UsageError
from daskingest.sources.codecs import CODECS, codec_named


class Format(StrEnum):
    """A format of files of articles, by its name for people."""

    CSV = "CSV"
    JSON_LINES = "JSON Lines"
    PARQUET = "Parquet"


_ENDINGS = {
    **dict.fromkeys(("csv", "tsv", "tab", "psv"), Format.CSV),
    **dict.fromkeys(("jsonl", "ndjson", "jl", "json"), Format.JSON_LINES),
    **dict.fromkeys(("parquet", "pq"), Format.PARQUET),
}

_PARQUET, _ENCRYPTED = b"PAR1", b"PARE"
_SPACE = " \t\r\n"
_OBJECT = re.compile(r"\{\s*[\"}]")
_OBJECT_LATER = re.compile(rb"\n\{\s*\"")
_ARRAY = re.compile(r"\[\s*[\[{\"\]]")
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_LOOK = 1024

_EXPORT = "export its articles as CSV, JSON Lines or Parquet"
_OTHERS: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (re.compile(rb"%PDF-"), "a PDF document", _EXPORT),
    (re.compile(rb"SQLite format 3\0"), "an SQLite database", _EXPORT),
    (re.compile(rb"\xd0\xcf\x11\xe0"), "an older Excel or Word document", "save it as CSV"),
    (re.compile(rb"PK\x03\x04"), "a zip archive or a workbook", "unpack it, or save it as CSV"),
    *(
        (each.begin, f"{each.name} data, compressed once more", "unpack it first")
        for each in CODECS
    ),
    (re.compile(rb"ARROW1|FEA1"), "an Arrow or Feather file", "write it as Parquet"),
    (re.compile(rb"Obj\x01"), "an Avro file", "write it as Parquet"),
    (re.compile(rb"ORC"), "an ORC file", "write it as Parquet"),
    (re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8"), "an image", "name a file of articles"),
    (re.compile(rb"\{\\rtf"), "a rich text document", _EXPORT),
    (
        re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE),
        "an HTML page",
        "if it was downloaded, see what it says: the address may need a login",
    ),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\b"), "an XML document", _EXPORT),
)


def refuse_others(name: str, head: bytes) -> None:
    """Raise UsageError if the bytes that a file begins with are those of no file of articles."""
    if head.startswith(_ENCRYPTED):
        raise UsageError(f"{name} is an encrypted Parquet file: decrypt it first")
    for begin, what, advice in _OTHERS:
        if begin.match(head) and not (what.startswith("an ORC") and not _is_binary(head)):
            raise UsageError(f"{name} is {what}: expected CSV, JSON Lines or Parquet; {advice}")


def is_parquet(head: bytes) -> bool:
    """Whether what begins so is a Parquet file."""
    return head.startswith(_PARQUET)


def text_format(name: str, head: bytes) -> Format:
    """The format of a text, from how it begins, in UTF-8. Raises UsageError if it is neither."""
    if format_named(name) is Format.PARQUET and _is_binary(head):
        raise UsageError(
            f"{name} does not begin as a Parquet file does, and is no text: it is incomplete or "
            "damaged; fetch it again"
        )
    text = head[:_LOOK].decode(errors="replace").lstrip("\ufeff").lstrip(_SPACE)
    if not text:  # white space, as far as was looked
        text = head.decode(errors="replace").lstrip("\ufeff").lstrip(_SPACE)[:_LOOK]
    if _ARRAY.match(text):
        raise UsageError(
            f"{name} is a JSON array: expected JSON Lines, an object on each line; write it so "
            "with `jq -c '.[]'`"
        )
    if _OBJECT.match(text):
        return Format.JSON_LINES
    damaged = format_named(name) is Format.JSON_LINES and _OBJECT_LATER.search(head)
    return Format.JSON_LINES if damaged else Format.CSV


def format_named(name: str) -> Format | None:
    """The format that a file's name says it has, if it does."""
    name = name.partition("::")[0]  # of a member
    if codec_named(name):
        name = name.rpartition(".")[0]
    return _ENDINGS.get(name.rpartition(".")[2].lower())


def misnamed(name: str, found: Format) -> list[str]:
    """What is to be said of a name that tells another format than what the file has."""
    named = format_named(name)
    return [] if named in (None, found) else [f"{name} is {found}, whatever its name says"]


def _is_binary(head: bytes) -> bool:
    return _CONTROL.search(head[:_LOOK]) is not None
