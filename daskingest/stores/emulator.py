"""Whether Cloud Firestore is an emulator."""

from __future__ import annotations

import os

VARIABLE = "FIRESTORE_EMULATOR_HOST"
"""Google's own, which its client follows too."""


def emulator() -> str:
    """The address of the emulator that stands for Firestore; empty if it is the real one."""
    return os.environ.get(VARIABLE, "")
