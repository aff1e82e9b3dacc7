"""What the service counts about itself, as Prometheus asks for it and for `/status`."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as Total

from daskingest.service.spool import Spool

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_RATE_SECONDS = 60


class Metrics:
    """A registry of its own for each service."""

    def __init__(self, spool: Spool) -> None:
        registry = self.registry = CollectorRegistry()

        def total(name: str, text: str, *labels: str) -> Total:
            return Total(f"daskingest_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"daskingest_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"daskingest_{name}", text, labels, buckets=buckets, registry=registry)

        self._accepted = total("articles_accepted", "Articles that were acknowledged.")
        self._duplicate = total("articles_duplicate", "Articles of requests that were repeated.")
        self._rejected = total("articles_rejected", "Articles that were not taken.", "reason")
        self._saved = total("articles_saved", "Articles that the store has.")
        self._words = total("words_saved", "Words of the articles that the store has.")
        self._entities = total("entities_saved", "Entities counted in the store.")
        self._releases = total("batches_released", "Micro-batches, by why they began.", "reason")
        self._batch_articles = histogram("batch_articles", "Articles in a batch.", _SIZES)
        self._batch_bytes = total("batch_bytes", "Bytes of the batches released.")
        self._batch_wait = histogram(
            "batch_wait_seconds", "How long a batch's oldest article had waited.", _SECONDS
        )
        self.extraction_seconds = histogram(
            "extraction_seconds", "Extraction of a batch.", _SECONDS
        )
        self.commit_seconds = histogram("commit_seconds", "A commit to the store.", _SECONDS)
        self.writes = total("store_writes", "Rows or documents written to the store.")
        self._requests = total("http_requests", "Requests answered.", "route", "method", "status")
        self._request_seconds = histogram("http_request_seconds", "Requests.", _SECONDS, "route")
        self._memory = gauge("worker_memory_bytes", "A worker's memory.", "worker")
        self._restarts = gauge("worker_restarts", "How often a worker was replaced.", "worker")
        self.in_flight = gauge("articles_in_flight", "Articles in batches that are not saved.")
        gauge("spool_articles", "Articles that the store does not have yet.").set_function(
            lambda: spool.articles
        )
        gauge("spool_bytes", "Their bytes.").set_function(lambda: spool.bytes)
        gauge("oldest_article_age_seconds", "How long the oldest of them waits.").set_function(
            lambda: max(0.0, time.time() - (spool.oldest or time.time()))
        )
        self.accepted = self.duplicates = self.saved_articles = 0
        self.rejects: Counter[str] = Counter()
        self._series: dict[tuple[str, str, int], tuple[Total, Histogram]] = {}
        self._recent: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])

    def taken(self, articles: int, repeated: bool) -> None:
        """Articles of a request were acknowledged, or had been before."""
        if repeated:
            self.duplicates += articles
            self._duplicate.inc(articles)
        else:
            self.accepted += articles
            self._accepted.inc(articles)

    def rejected(self, reason: str, articles: int) -> None:
        """Articles were not taken."""
        self.rejects[reason] += articles
        self._rejected.labels(reason).inc(articles)

    def released(self, articles: int, size: int, reason: str, waited: float) -> None:
        """A batch of so many articles and bytes begins, and why; its oldest waited, in seconds."""
        self._releases.labels(reason).inc()
        self._batch_articles.observe(articles)
        self._batch_bytes.inc(size)
        self._batch_wait.observe(waited)

    def saved(self, articles: int, words: int, entities: int) -> None:
        """The store has them."""
        self.saved_articles += articles
        self._saved.inc(articles)
        self._words.inc(words)
        self._entities.inc(entities)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        series = self._series.get((route, method, status))
        if series is None:  # looking them up takes longer than counting
            series = self._series[route, method, status] = (
                self._requests.labels(route, method, str(status)),
                self._request_seconds.labels(route),
            )
        series[0].inc()
        series[1].observe(seconds)

    def workers(self, workers: dict[str, dict[str, Any]]) -> None:
        """How the workers are, every now and then."""
        for name, each in workers.items():
            self._memory.labels(name).set(each["memory"])
            self._restarts.labels(name).set(each["restarts"])
        now = time.monotonic()
        self._recent.append((now, self.accepted, self.saved_articles))
        while now - self._recent[0][0] > _RATE_SECONDS:
            self._recent.popleft()

    def rates(self) -> tuple[float, float]:
        """Articles accepted and saved per second, over the last minute."""
        then, accepted, saved = self._recent[0]
        seconds = max(time.monotonic() - then, 1e-3)
        return (self.accepted - accepted) / seconds, (self.saved_articles - saved) / seconds

    def text(self) -> bytes:
        """All of it, in Prometheus' format."""
        return generate_latest(self.registry)
