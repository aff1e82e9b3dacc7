"""Articles that the model could not take: each kept whole, and once."""

from __future__ import annotations

from pathlib import Path

import pytest

from daskingest.articles import Article
from daskingest.errors import UsageError
from daskingest.service.rejects import RejectsError, SpoolRejects

ARTICLE = Article("Olá\n\N{GRINNING FACE}", "P")
LINE = (
    '{"place": "s:1#0", "reason": "r", "content": "Olá\\n\N{GRINNING FACE}", '
    '"publication": "P", "id": null}\n'
)


def test_an_article_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    rejects = SpoolRejects(path)
    assert not path.exists()
    for _ in range(2):
        rejects.add("s:1#0", ARTICLE, "r")
    assert path.read_text(encoding="utf-8") == LINE
    path.write_text(LINE + LINE[:30], encoding="utf-8")
    rejects = SpoolRejects(path)
    rejects.add("s:1#0", ARTICLE, "r")
    rejects.add("s:1#1", Article("x", "P", "7"), "r")
    assert path.read_text(encoding="utf-8") == LINE + (
        '{"place": "s:1#1", "reason": "r", "content": "x", "publication": "P", "id": "7"}\n'
    )


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    path.write_text("[]\n")
    with pytest.raises(UsageError, match="is not a file of rejects"):
        SpoolRejects(path)
    path.unlink()
    rejects = SpoolRejects(path)
    path.mkdir()
    with pytest.raises(RejectsError, match=r"cannot write rejects to .*directory"):
        rejects.add("s:1#0", ARTICLE, "r")
    path.rmdir()
    rejects.add("s:1#0", ARTICLE, "r")
    assert path.read_text(encoding="utf-8") == LINE
