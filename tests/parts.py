"""What tests need of a machine, which it may lack."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip a test because of it, or fail it where all parts are required."""
    if os.environ.get("DASKINGEST_REQUIRE_ALL") == "1":
        pytest.fail(what)
    pytest.skip(what)
