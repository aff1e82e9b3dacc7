"""What a power cut leaves of files: what was fsynced, and any part of what was written later.

A name of a file is there if its folder was fsynced since, else perhaps; of a file's blocks, each
has what was fsynced or what was written last.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

BLOCK = 4096


def cut(places: list[Path], shadow: Path, chance: random.Random) -> None:
    """Change the files in these folders, which nobody uses any more, to what could be left.

    `shadow` has the copies that `shim.c` made. All that is left is durable then.
    """
    for folder in _folders(places):
        now, kept = _names(folder), _kept_names(folder, shadow)
        contents = {key: _content(folder / name, shadow / key, chance) for name, key in now.items()}
        for name in sorted(now.keys() | kept.keys()):
            key = now.get(name) if _either(now, kept, name, chance) else kept.get(name)
            path = folder / name
            if key is None:
                path.unlink(missing_ok=True)
                continue
            path.unlink(missing_ok=True)
            # Of a file that was removed, although the disk does not know it, this is what it had.
            path.write_bytes(contents[key] if key in contents else _read(shadow / key))
    settle(places, shadow)


def settle(places: list[Path], shadow: Path) -> None:
    """All that is there now is durable."""
    for each in shadow.iterdir():
        each.unlink()
    for folder in _folders(places):
        lines = []
        for name, key in _names(folder).items():
            (shadow / key).write_bytes((folder / name).read_bytes())
            lines.append(f"{key} {name}\n")
        (shadow / _keys([folder])[0]).write_text("".join(lines))


def _either(now: dict[str, str], kept: dict[str, str], name: str, chance: random.Random) -> bool:
    """Whether what the name means now is what is left."""
    return now.get(name) == kept.get(name) or chance.random() < 0.5


def _content(path: Path, durable: Path, chance: random.Random) -> bytes:
    """A file's content: of each block, what was written last or what was fsynced."""
    now, before = path.read_bytes(), _read(durable)
    if now == before:
        return now
    size = len(chance.choice([now, before]))
    share = chance.choice([0.0, 0.5, 0.9, 1.0])
    blocks = [
        (now if chance.random() < share else before)[at : at + BLOCK].ljust(BLOCK, b"\0")
        for at in range(0, size, BLOCK)
    ]
    return b"".join(blocks)[:size]


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _folders(places: list[Path]) -> Iterator[Path]:
    for each in places:
        if each.is_dir():
            yield each
            yield from sorted(path for path in each.rglob("*") if path.is_dir())


def _names(folder: Path) -> dict[str, str]:
    """The files in a folder, with their keys; what is made anew at each start is left out."""
    names = sorted(each.name for each in folder.iterdir() if each.is_file())
    keys = _keys([folder / each for each in names])
    return dict(zip(names, keys, strict=True))


def _kept_names(folder: Path, shadow: Path) -> dict[str, str]:
    lines = _read(shadow / _keys([folder])[0]).decode().splitlines()
    return {name: key for key, name in (each.split(" ", 1) for each in lines)}


def _keys(paths: list[Path]) -> list[str]:
    """What `shim.c` knows files by: inode and birth."""
    if not paths:
        return []
    command = ["stat", "-c", "%i-%.9W", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
