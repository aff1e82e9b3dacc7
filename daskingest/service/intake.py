"""The intake: a request's articles go into the spool, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, NamedTuple, Self

from daskingest.articles import Article
from daskingest.errors import DaskingestError
from daskingest.service.answers import Answer, IdempotencyKey, KeyReused
from daskingest.service.group_commit import SpoolError
from daskingest.service.metrics import Metrics
from daskingest.service.micro_batches import size_of
from daskingest.service.spool import Spool


class Refused(DaskingestError):
    """None of a request's articles was accepted. The message says what to do."""

    reason: ClassVar[str]
    """A fixed phrase, for counting."""

    def __init__(self, message: str, articles: int) -> None:
        super().__init__(message)
        self.articles = max(1, articles)
        """How many were not accepted, as far as is known."""


class Draining(Refused):
    """The service is shutting down."""

    reason = "draining"


class SpoolFull(Refused):
    """The spool has no room for them now."""

    reason = "spool full"


class NotWritten(Refused):
    """The spool could not be written."""

    reason = "spool failed"


class KeyConflict(Refused):
    """The idempotency key was used before with a different body."""

    reason = "idempotency key used before"


class SizedArticles(NamedTuple):
    """Articles of a request, and their size in the spool, in bytes."""

    articles: Sequence[Article]
    size: int

    @classmethod
    def of(cls, articles: Sequence[Article]) -> Self:
        """These articles with their size. Slow for many of them; may be called on any thread."""
        return cls(articles, sum(map(size_of, articles)))


_NOTHING = SizedArticles((), 0)


class Intake:
    """Accepts articles as long as there is room. `wake` is called when there are new ones."""

    def __init__(
        self, spool: Spool, metrics: Metrics, max_bytes: int, wake: Callable[[], None]
    ) -> None:
        self.draining = False
        """Whether all articles are refused, because the service is shutting down."""
        self._spool = spool
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._wake = wake

    def submission(self) -> Submission:
        """A submission, for the articles of one request."""
        return Submission(self, self._spool)

    def check_room(self, size: int = 0, articles: int = 0) -> None:
        """Raise Draining or SpoolFull if so many more articles and bytes can't be accepted now."""
        self.check_open(articles)
        if self._spool.bytes + size >= self._max_bytes:
            keys = self._spool.key_bytes
            kept = f", {keys:,} of them as idempotency keys" if keys else ""
            asked = f", and this request has {size:,} more" if size else ""
            raise SpoolFull(
                f"the spool is full: {self._spool.bytes:,} of {self._max_bytes:,} bytes wait to be "
                f"counted{kept}{asked}; try again later",
                articles,
            )

    def check_open(self, articles: int) -> None:
        """Raise Draining if nothing is accepted any more."""
        if self.draining:
            raise Draining("the service is shutting down; try again when it is back", articles)

    def taken(self, answer: Answer, articles: int, rejected: Mapping[str, int]) -> None:
        """Record an answered request: its articles, and its rejects by reason."""
        self._metrics.taken(articles, answer.repeated)
        if answer.repeated:
            return
        for reason, number in rejected.items():
            self._metrics.rejected(reason, number)
        self._wake()


class Submission:
    """The articles of one request, in one or more parts: `stage` each, then `accept`.

    A context manager: if it is left before `accept` has returned, nothing is accepted. Entering
    raises Draining or SpoolFull. A single part costs one operation of the spool.
    """

    def __init__(self, intake: Intake, spool: Spool) -> None:
        self._intake = intake
        self._spool = spool
        self._articles = 0
        self._held = _NOTHING  # the first part, until there is a second
        self._upload: int | None = None

    async def __aenter__(self) -> Self:
        self._intake.check_room()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._upload is not None:
            with suppress(SpoolError):
                await self._spool.discard(self._upload)

    async def stage(self, part: SizedArticles) -> None:
        """Add a part. Raises Refused, and then nothing of the request may be accepted."""
        self._articles += len(part.articles)
        self._intake.check_room(self._held.size + part.size, self._articles)
        if self._upload is None and not self._held.articles:
            self._held = part
            return
        if self._upload is None:
            self._upload = self._spool.begin_upload()
        articles = [*self._held.articles, *part.articles]
        self._held = _NOTHING
        with self._refusing():
            await self._spool.stage(self._upload, articles)

    async def accept(
        self,
        body: dict[str, Any],
        key: IdempotencyKey | None = None,
        rejected: Mapping[str, int] | None = None,
    ) -> Answer:
        """Accept what was staged: it is on disk on return. If the request is repeated, do nothing.

        The answer is `body`, or what was answered the first time. `rejected` has the numbers of
        other articles in the request, by reason. Raises Refused.
        """
        self._intake.check_open(self._articles)  # what is given to the spool from here on is seen
        with self._refusing():
            if self._upload is None:
                answer = await self._spool.add(self._held.articles, key, body)
            else:
                answer = await self._spool.finish(self._upload, body, key)
        self._upload = None
        self._intake.taken(answer, self._articles, rejected or {})
        return answer

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except KeyReused:
            raise KeyConflict(
                "this Idempotency-Key was used before with another body; "
                "use a new key for a new request",
                self._articles,
            ) from None
        except SpoolError as error:
            raise NotWritten(f"{error}; nothing was accepted", self._articles) from None
