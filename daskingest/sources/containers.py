"""What lies at a path: a file of articles, or the members of an archive. Its first bytes tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from fsspec.core import url_to_fs

from daskingest.errors import DaskingestError, UsageError
from daskingest.progress import Progress
from daskingest.sources.archives import Member, is_tar, is_zip, tar_members, zip_members
from daskingest.sources.codecs import Codec, codec_named, codec_of, unsupported
from daskingest.sources.formats import format_named
from daskingest.sources.origin import Origin
from daskingest.sources.streams import open_stream, read_fully, reading
from daskingest.text import printable

_PROBE = 1024
_CHAINED = re.compile(r"(zip|tar)://(.*?)::(.+)", re.DOTALL)
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")
_NAMES_SHOWN = 5

_DOCUMENTS = (".xlsx", ".docx", ".pptx", ".ods", ".odt", ".odp", ".epub", ".jar", ".whl")
"""Zips whose members are none for people."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What cannot be read, and why."""

    name: str
    error: DaskingestError


@dataclass(frozen=True, slots=True)
class Passed:
    """What holds no articles, as its name tells."""

    name: str


Piece = Origin | Refused | Passed


def find_origin(path: str) -> Origin:
    """The one file at a path or URL, or in an archive there.

    Raises UsageError if there is none, if it is a folder, or if there are several.
    """
    found = [each for each in pieces(path, path, Progress()) if not isinstance(each, Passed)]
    if len(found) != 1:
        names = shown([each.name for each in found])
        raise UsageError(
            f"{path} holds {len(found):,} files, expected one" + (names and f": {names}")
        )
    if isinstance(found[0], Refused):
        raise found[0].error
    return found[0]


def pieces(path: str, name: str, progress: Progress) -> list[Piece]:
    """What is at a path, which the user calls `name`: a file, or the members of an archive.

    Raises UsageError if there is nothing, or a folder, and DaskingestError if it cannot be read.
    """
    if chained := _CHAINED.fullmatch(path):
        _, wanted, archive = chained.groups()
        its_name = (_CHAINED.fullmatch(name) or chained).group(3)
        wanted = wanted.strip("/")
        found = pieces(archive, its_name, progress)
        inside = [each for each in found if not wanted or _member_name(each) == wanted]
        if not inside:
            names = shown([_member_name(each) for each in found])
            raise UsageError(f"no such member: {path}; {its_name} has {names or 'none'}")
        return inside
    path, size = _place(path)
    with reading(path), open_stream(path) as stream:
        head = read_fully(stream, _PROBE)
    if is_zip(head):
        return list(_zip(path, size, name))
    origin = Origin(path, size, codec_of(head), name=name)
    inner = head if origin.codec is None else _begin(origin)
    if is_tar(inner):
        return list(_tar(path, origin.codec, name, progress))
    return [_told(origin, head, inner)]


def shown(names: list[str]) -> str:
    """Names for people: the first ones, if there are many."""
    return ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")


def is_hidden(name: str) -> bool:
    """Whether a path inside a folder or archive is one that people don't see."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def is_document(name: str) -> bool:
    """Whether a name is one of a zip with a text or a table for an office program, or the like."""
    return name.lower().endswith(_DOCUMENTS)


def is_named_as_data(name: str) -> bool:
    """Whether a name says that it is a file of articles, compressed or not; `.json` does not."""
    plain = name.rpartition(".")[0] if codec_named(name) else name
    return format_named(plain) is not None and not plain.lower().endswith(".json")


def _place(path: str) -> tuple[str, int]:
    """The path as it is found again, and the size."""
    try:
        fs, inner = url_to_fs(path)
        info = cast(dict[str, Any], fs.info(inner))
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except (ValueError, ImportError, OSError) as error:
        raise UsageError(f"cannot open {path}: {error}") from None
    if info["type"] == "directory":
        raise UsageError(f"{path} is a directory: expected a file")
    local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
    return (inner if local else path), int(info["size"] or 0)


def _begin(origin: Origin) -> bytes:
    """What its content begins with; nothing if that cannot be unpacked, which is told when it is
    read.
    """
    try:
        with reading(origin.path), origin.open() as stream:
            return read_fully(stream, _PROBE)
    except DaskingestError:
        return b""


def _zip(path: str, size: int, name: str) -> Iterator[Piece]:
    with reading(name):
        members = zip_members(path)
    if any(each.name == "[Content_Types].xml" for each in members) or is_document(name):
        raise UsageError(f"{name} is a document of an office program: save it as CSV first")
    first = members[0] if members else None
    for piece in _members(members, path, name):
        if isinstance(piece, Origin) and piece.member is first:
            piece = replace(piece, before=Origin(path, size))  # noqa: PLW2901
        yield piece


def _tar(path: str, codec: Codec | None, name: str, progress: Progress) -> Iterator[Piece]:
    with reading(name):
        members = tar_members(path, codec, progress)
    return _members(members, path, name, "tar")


def _members(members: list[Member], path: str, name: str, kind: str = "zip") -> Iterator[Piece]:
    if not members:
        raise UsageError(f"{name} is an archive with no files in it")
    last = {each.name: each for each in members}  # of one name, it is that which is unpacked
    for each in members:
        its_name = printable(f"{kind}://{each.name}::{name}")
        if is_hidden(each.name) or is_document(each.name) or last[each.name] is not each:
            yield Passed(its_name)
            continue
        try:
            yield _member(each, f"{kind}://{each.name}::{path}", its_name)
        except DaskingestError as error:
            yield Refused(its_name, error)


def _member(member: Member, path: str, name: str) -> Origin:
    if member.problem:
        raise UsageError(f"cannot read {name}: {member.problem}")
    origin = Origin(path, member.size, member=member, name=name)
    with reading(name), origin.open() as stream:
        head = read_fully(stream, _PROBE)
    origin = replace(origin, codec=codec_of(head))
    inner = head if origin.codec is None else _begin(origin)
    if is_zip(head) or is_tar(inner):
        raise UsageError(f"{name} is an archive in an archive: unpack the outer one first")
    return _told(origin, head, inner)


def _told(origin: Origin, head: bytes, inner: bytes) -> Origin:
    """The same, with a note if it is not what its name says. Raises UsageError if it is nothing.

    `head` is what it begins with, and `inner` what its content does.
    """
    name, codec = origin.name, origin.codec
    if kind := unsupported(head):
        raise UsageError(f"{name} is {kind} data, which cannot be read here: unpack it first")
    its_name = _last(name).lower()
    by_name = codec_named(its_name)
    if codec is not None and codec is not by_name:
        return replace(origin, note=f"{name} is {codec.name} data, whatever its name says")
    missing = by_name.name if by_name is not None and codec is None else _archive_named(its_name)
    if not missing or (codec is not None and not inner):
        return origin
    if _CONTROL.search(inner):
        raise UsageError(
            f"{name} does not begin as {missing} data does, and is no text: it is incomplete or "
            "damaged; fetch it again"
        )
    return replace(origin, note=f"{name} is no {missing} data, whatever its name says")


def _archive_named(name: str) -> str:
    """What archive a name is one of, compressed or not; empty if it is none."""
    if codec := codec_named(name):
        if name.endswith((".tgz", ".tbz", ".tbz2", ".txz", ".tzst")):
            return "tar"
        name = name.removesuffix(next(each for each in codec.endings if name.endswith(each)))
    return next((kind for kind in ("zip", "tar") if name.endswith("." + kind)), "")


def _last(name: str) -> str:
    """The member's name, if it is one."""
    chained = _CHAINED.fullmatch(name)
    return chained.group(2) if chained else name


def _member_name(piece: Piece) -> str:
    return _last(piece.path if isinstance(piece, Origin) else piece.name)
