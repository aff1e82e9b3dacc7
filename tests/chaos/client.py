"""A client of the service, which knows what it was promised of each article."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import httpx

from chaos.articles import Article

_PATIENCE = 12.0  # seconds for one answer
_PAUSE = 0.03  # seconds between requests


class Promise(Enum):
    """What the client knows of an article."""

    COUNTED = auto()  # it was acknowledged
    REFUSED = auto()
    UNKNOWN = auto()  # no answer came


@dataclass
class Client:
    """Sends articles, a few in a request, until each request has an answer that settles it.

    Some requests have a key, and are repeated until they are acknowledged, and some of these again
    after that; some are sent once; and some have an article that must be refused. `url` tells where
    the service is now.
    """

    articles: Sequence[Article]
    chance: random.Random
    url: Callable[[], str]
    promises: dict[int, Promise] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    stopping: bool = False
    limit: float = 1.0
    """What share of the articles may be sent by now."""

    def start(self) -> None:
        """Send all, on a thread."""
        self._thread = threading.Thread(target=self._send_all, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether nothing more will be sent."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Send nothing more."""
        self.stopping = True
        self._thread.join()

    def _send_all(self) -> None:
        with httpx.Client(timeout=_PATIENCE) as http:
            start = 0
            while start < len(self.articles) and not self.stopping:
                if start >= self.limit * len(self.articles):
                    time.sleep(_PAUSE)
                    continue
                size = self.chance.choice((1, 1, 2, 5))
                self._send(http, self.articles[start : start + size], f"request-{start}")
                start += size
                time.sleep(_PAUSE)

    def _send(self, http: httpx.Client, articles: Sequence[Article], key: str) -> None:
        """Send a request, again and again if it has a key, until its articles' fate is known."""
        kind = self.chance.choice(("keyed", "keyed", "again", "once"))
        headers = {} if kind == "once" else {"Idempotency-Key": key}
        good = all(each.text for each in articles)
        self._promise(articles, Promise.UNKNOWN if good else Promise.REFUSED)
        while not self.stopping:
            found = self._try(http, articles, headers, 202 if good else 422)
            if kind == "once":
                self._promise(articles, found)
                self._wait_for_service(http)
                return
            if found is Promise.COUNTED:
                self._promise(articles, found)
                if kind == "again":
                    self._try(http, articles, headers, 202)
                return
            if found is Promise.REFUSED and not good:
                return
            time.sleep(0.1)

    def _try(
        self, http: httpx.Client, articles: Sequence[Article], headers: dict[str, str], wanted: int
    ) -> Promise:
        """Send a request once. `wanted` is the answer that it must have, if it isn't 503."""
        body = [
            {"content": each.text, "publication": each.publication, "published": each.date or None}
            for each in articles
        ]
        try:
            answer = http.post(f"{self.url()}/articles", json=body, headers=headers)
        except httpx.ConnectError:
            return Promise.REFUSED if wanted == 202 else Promise.UNKNOWN  # nothing was sent
        except httpx.HTTPError:
            return Promise.UNKNOWN
        if answer.status_code not in (wanted, 503):
            self.problems.append(f"{headers}: {answer.status_code} {answer.text[:200]}")
        if answer.status_code == 503 and wanted != 202:
            return Promise.UNKNOWN  # it is to be refused otherwise
        return Promise.COUNTED if answer.is_success else Promise.REFUSED

    def _wait_for_service(self, http: httpx.Client) -> None:
        """So that a service that is away does not refuse all that is sent once."""
        while not self.stopping:
            try:
                http.get(f"{self.url()}/healthz")
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return

    def _promise(self, articles: Sequence[Article], promise: Promise) -> None:
        for each in articles:
            self.promises[each.number] = promise
