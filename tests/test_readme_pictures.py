"""The README's pictures are what the sample's pages show today."""

from __future__ import annotations

import re

from readme_pictures import FOLDER, PICTURES, ROOT, made


def test_they_are_what_is_made_today() -> None:
    pictures = made()
    assert {each.name for each in FOLDER.iterdir()} == set(PICTURES)
    for name, picture in pictures.items():
        assert picture == (FOLDER / name).read_bytes(), f"{name} has changed: run `make pictures`"


def test_the_readme_shows_them() -> None:
    shown = re.findall(
        r"!\[[^]]+\]\(notebooks/pictures/([^)]+)\)", (ROOT / "README.md").read_text()
    )
    assert sorted(shown) == sorted(PICTURES)
