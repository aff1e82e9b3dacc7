"""Which file the bytes of a download belong to."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from daskingest.download.manifest import Manifest, check_room
from daskingest.errors import DownloadError


def test_it_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    manifest = Manifest("https://x/?token=t", 7, '"e"', None, "a.csv", 9)
    manifest.save(path)
    assert Manifest.load(path) == manifest
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["m.json"]


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", '{"url": "u", "other": 1}'])
def test_what_is_no_manifest_is_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "m.json"
    if text is not None:
        path.write_text(text)
    assert Manifest.load(path) is None


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"Content-Range": "bytes 3-9/10", "ETag": '"e"'}, True),
        ({"Content-Range": "bytes 3-9/10", "ETag": '"f"'}, False),
        ({"Content-Range": "bytes 3-9/10", "Last-Modified": "then"}, True),
        ({"Content-Range": "bytes 3-9/10", "Last-Modified": "now"}, False),
        ({"Content-Range": "bytes 3-9/10"}, True),
        ({"Content-Range": "bytes 2-9/10", "ETag": '"e"'}, False),
        ({"Content-Range": "bytes 3-10/11", "ETag": '"e"'}, False),
        ({"Content-Range": "bytes 3-9/*", "ETag": '"e"'}, False),
        ({"ETag": '"e"'}, False),
    ],
)
def test_an_answer_goes_on_with_the_same_file(headers: dict[str, str], same: bool) -> None:
    manifest = Manifest("https://x/", 10, '"e"', "then")
    assert manifest.is_of(httpx.Response(206, headers=headers), 3) is same


def test_room_is_checked(tmp_path: Path) -> None:
    check_room(tmp_path, 1, "it")
    with pytest.raises(DownloadError, match="no room for it"):
        check_room(tmp_path, 1 << 62, "it")
