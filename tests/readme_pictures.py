"""Makes the README's pictures of the bundled sample: `make pictures`.

They are what the pages' own links to SVG answer, so that they are the same each time.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import httpx
from program import run

from daskingest.settings import ServeSettings
from daskingest.stores.aliases import aliases_from
from daskingest.web.app import create_app
from daskingest.web.store_alone import open_store_alone

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks" / "pictures"
PICTURES = {
    "over-time.svg": "download/compare-months.svg"
    "?word=egypt&word=japan&word=the+soviet+union&word=china&by=decade",
    "typical.svg": "download/compare.svg?name=the+savannah+observer&name=pacific+rim+tribune",
    "cloud.svg": "cloud.svg?name=the+harbour+courier",
}
"""Addresses by file."""


def made() -> dict[str, bytes]:
    """The pictures, by file."""
    with tempfile.TemporaryDirectory() as folder:
        sample, store = ROOT / "daskingest" / "sample.csv", f"sqlite:///{folder}/sample.db"
        code, output = run(Path(folder), "run-csv", str(sample), "--store", store, "--workers", "2")
        assert code == 0, output
        return asyncio.run(_answers(store))


async def _answers(store: str) -> dict[str, bytes]:
    backend = open_store_alone(store, "no model", False, False, aliases_from("news"))
    app = create_app(ServeSettings(), backend)
    found = {}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sample") as http,
    ):
        for name, address in PICTURES.items():
            answer = await http.get(address)
            found[name] = answer.raise_for_status().content
    return found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, picture in made().items():
        (FOLDER / name).write_bytes(picture)
        print(FOLDER / name)
