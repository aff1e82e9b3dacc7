"""Python environments for the peers, made when they are first needed, and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from daskingest.errors import DaskingestError

PEERS = Path(__file__).parent / "peers"


def cache_folder() -> Path:
    """Where they are kept. Raises DaskingestError if the user has no home."""
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache) / "daskingest" / "peers"
    try:
        return Path.home() / ".cache" / "daskingest" / "peers"
    except RuntimeError as error:
        raise DaskingestError("you have no home folder: set XDG_CACHE_HOME to one") from error


@dataclass(frozen=True, slots=True)
class Environment:
    """A folder of packages, in the versions that its file of constraints has.

    `newest` is the last Python 3 that all of them have wheels for.
    """

    name: str
    newest: int | None = None

    @property
    def constraints(self) -> Path:
        """The file."""
        return PEERS / f"constraints-{self.name}.txt"

    def python(self, requirements: tuple[str, ...]) -> Path:
        """Its Python, with these packages installed.

        Raises DaskingestError if they can't be.
        """
        program = self._program()
        folder = cache_folder() / f"{self.name}-{Path(program).name}"
        python, what = folder / "bin" / "python", " ".join(requirements)
        said = hashlib.sha256(self.constraints.read_bytes() + what.encode()).hexdigest()[:16]
        done = folder / f"installed-{said}"
        if not done.exists():
            if not python.exists():
                _run(program, "-m", "venv", str(folder))
            pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            wheels = ("--only-binary", ":all:", "--constraint", str(self.constraints))
            _run(str(python), *pip, *wheels, *requirements)
            done.write_text(f"{what}\n")
        return python

    def _program(self) -> str:
        """A Python that is not too new."""
        if self.newest is None or sys.version_info.minor <= self.newest:
            return f"{sys.base_prefix}/bin/python3.{sys.version_info.minor}"
        for minor in range(self.newest, 9, -1):
            if found := shutil.which(f"python3.{minor}"):
                return found
        raise DaskingestError(f"it needs Python 3.10 to 3.{self.newest}, and there is none")


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        raise DaskingestError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        raise DaskingestError(last_line(done.stderr) or f"{command[0]} failed")


def last_line(text: str) -> str:
    """What a program said at last: where errors are told."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
