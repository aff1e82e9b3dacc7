"""Where the file is that says how far an upload is, from whatever folder it is looked for.

It is written in the current folder. Where that was is noted in the user's own folder of states, so
that an upload can be gone on with from another folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from daskingest.errors import UsageError
from daskingest.files import state_folder, write_atomically


def default_path(csv: str) -> Path:
    """Where the state of an upload of this file is written, in the current folder.

    It is named after the file; a member of an archive, after both.
    """
    member, archive = _parts(csv)
    name = Path(archive).name + (member and "-" + member.replace("/", "-"))
    return Path(name + ".upload.json")


def _parts(csv: str) -> tuple[str, str]:
    """The member and the archive that a file is; no member, if it is none."""
    inside, chained, archive = csv.partition("::")
    return (inside.partition("://")[2], archive) if chained else ("", csv)


def note(path: Path, fingerprint: str, url: str) -> None:
    """Note where the state of an upload of a file to a service is, if that can be noted at all."""
    with suppress(OSError, RuntimeError):
        place = _note_of(fingerprint, url)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, str(path.absolute()))


def find(csv: str, fingerprint: str, url: str) -> Path:
    """The state of an upload of this file to this service, where there is one.

    It is looked for in the current folder, beside the file, and where the last one was written. One
    of another file or service is taken only if there is no other, to be told what is wrong with it.
    Raises UsageError, which says where it was looked for, when there is none.
    """
    places = {each.absolute(): each for each in reversed([*_places(csv, fingerprint, url)])}
    found = [each for each in reversed(places.values()) if each.is_file()]
    if not found:
        looked = ", no ".join(map(str, reversed(places)))
        raise UsageError(
            f"cannot resume: found no file with the progress of an upload of {csv} to {url}: no "
            f"{looked}; name it with --state, or leave out --resume to send all articles anew"
        )
    return next((each for each in found if _is_of(each, fingerprint, url)), found[0])


def _places(csv: str, fingerprint: str, url: str) -> Iterator[Path]:
    here = default_path(csv)
    yield here
    _, archive = _parts(csv)
    if "://" not in archive:
        yield Path(archive).with_name(here.name)
    with suppress(OSError, ValueError, RuntimeError):
        yield Path(_note_of(fingerprint, url).read_text(encoding="utf-8", errors="surrogateescape"))


def _is_of(path: Path, fingerprint: str, url: str) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return bool((found["fingerprint"], found["url"]) == (fingerprint, url))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _note_of(fingerprint: str, url: str) -> Path:
    """Raises RuntimeError if the user has no home."""
    digest = hashlib.sha256(f"{fingerprint} {url}".encode()).hexdigest()[:32]
    return state_folder("uploads") / digest
