"""The file of articles that the service acknowledged and on which the model failed."""

from __future__ import annotations

from pathlib import Path

from daskingest.articles import Article
from daskingest.errors import DaskingestError, UsageError
from daskingest.files import JsonLines, JsonLinesError
from daskingest.months import month_text


class RejectsError(DaskingestError):
    """An article could not be written to the rejects; the spool must keep it."""


class SpoolRejects:
    """Collects such articles, one per line, in full so that nothing is lost, and each once.

    An article that is added again after a crash is recognised by its place. To be used by one
    thread at a time. Raises UsageError if the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._lines = JsonLines(path, key=("place",), ensure_ascii=False)
        except JsonLinesError as error:
            raise UsageError(
                f"{path} is not a file of rejects ({error}); move it away, or name another "
                "--data-dir"
            ) from None

    def add(self, place: str, article: Article, reason: str) -> None:
        """Write an article. `place` is its batch's id, `#`, and its number in the batch.

        On return it is on disk, and the spool may forget it. Raises RejectsError if it is not.
        """
        try:
            entry: dict[str, object] = {
                **{"place": place, "reason": reason, "content": article.content},
                **{"publication": article.publication, "id": article.id},
            }
            if article.month is not None:
                entry["published"] = month_text(article.month)
            self._lines.add([entry])
        except JsonLinesError as error:
            raise RejectsError(f"cannot write rejects to {self._path}: {error}") from None
