"""The exit codes are those that the help promises and that errors carry."""

from __future__ import annotations

import pytest

from daskingest.cli.app import app
from daskingest.cli.exit_codes import ExitCode
from daskingest.errors import DaskingestError, DownloadError, StoreError, UsageError


@pytest.mark.parametrize("error", [DaskingestError, StoreError, DownloadError])
def test_what_goes_wrong_has_failed(error: type[DaskingestError]) -> None:
    assert error.exit_code == ExitCode.FAILED


def test_mistakes_are_wrong_usage() -> None:
    assert UsageError.exit_code == ExitCode.USAGE


def test_their_numbers_are_relied_upon() -> None:
    assert [int(each) for each in ExitCode] == [0, 1, 2, 3, 130]


def test_the_help_names_them() -> None:
    promised = {"done": ExitCode.DONE, "failed": ExitCode.FAILED, "wrong usage": ExitCode.USAGE}
    promised |= {"interrupted": ExitCode.INTERRUPTED}
    for each in app.registered_commands:
        if each.callback is not None and each.callback.__name__ in ("run_csv", "download"):
            text = " ".join((each.callback.__doc__ or "").split())
            assert all(f"{code.value} {name}" in text for name, code in promised.items())
