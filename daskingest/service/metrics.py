"""The service's metrics, for Prometheus and for `/status`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as Total

from daskingest.service.rates import Rate, Rates, Sample

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class GaugeValues:
    """Values of gauges at a moment: the articles that the store does not have, their bytes, how
    long the oldest of them has waited (in seconds), and how many are in batches.
    """

    spool_articles: int
    spool_bytes: int
    oldest_seconds: float
    in_flight: int


class Metrics:
    """The metrics of one service, which starts `now`, in a registry of its own."""

    def __init__(self, now: float) -> None:
        registry = self.registry = CollectorRegistry()

        def total(name: str, text: str, *labels: str) -> Total:
            return Total(f"daskingest_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"daskingest_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"daskingest_{name}", text, labels, buckets=buckets, registry=registry)

        self._accepted = total("articles_accepted", "Articles that were acknowledged.")
        self._duplicate = total("articles_duplicate", "Articles of repeated requests.")
        self._rejected = total("articles_rejected", "Articles that were not accepted.", "reason")
        self._saved = total("articles_saved", "Articles that the store has.")
        self._words = total("words_saved", "Words of text in the articles saved.")
        self._entities = total("entities_saved", "Entities counted in the store.")
        self._releases = total(
            "batches_released", "Micro-batches, by the reason for their release.", "reason"
        )
        self._batch_articles = histogram("batch_articles", "Articles in a batch.", _SIZES)
        self._batch_bytes = total("batch_bytes", "Bytes in released batches.")
        self._batch_wait = histogram(
            "batch_wait_seconds", "How long a batch's oldest article had waited.", _SECONDS
        )
        self._extraction = histogram("extraction_seconds", "Time to extract a batch.", _SECONDS)
        self._commit = histogram("commit_seconds", "Time of a commit to the store.", _SECONDS)
        self._writes = total("store_writes", "Rows or documents written to the store.")
        self._requests = total("http_requests", "Requests answered.", "route", "method", "status")
        self._request_seconds = histogram(
            "http_request_seconds", "Time to answer a request.", _SECONDS, "route"
        )
        self._memory = gauge("worker_memory_bytes", "A worker's memory.", "worker")
        self._restarts = gauge("worker_restarts", "How often a worker was replaced.", "worker")
        self._in_flight = gauge("articles_in_flight", "Articles in unsaved batches.")
        self._spool_articles = gauge("spool_articles", "Articles that the store does not have yet.")
        self._spool_bytes = gauge("spool_bytes", "Bytes of the articles in the spool.")
        self._oldest = gauge(
            "oldest_article_age_seconds", "How long the oldest of them has waited."
        )
        self.accepted = self.duplicates = self.saved_articles = 0
        self.rejects: Counter[str] = Counter()
        self._series: dict[tuple[str, str, int], tuple[Total, Histogram]] = {}
        self._rates = Rates(now)

    def taken(self, articles: int, repeated: bool) -> None:
        """Articles of a request were acknowledged, now or before."""
        if repeated:
            self.duplicates += articles
            self._duplicate.inc(articles)
        else:
            self.accepted += articles
            self._accepted.inc(articles)

    def rejected(self, reason: str, articles: int) -> None:
        """Articles were not accepted."""
        self.rejects[reason] += articles
        self._rejected.labels(reason).inc(articles)

    def released(self, articles: int, size: int, reason: str, waited: float) -> None:
        """A batch was released, for a reason; `waited` is its oldest article's time, in seconds."""
        self._releases.labels(reason).inc()
        self._batch_articles.observe(articles)
        self._batch_bytes.inc(size)
        self._batch_wait.observe(waited)

    def saved(self, articles: int, text_words: int, entities: int) -> None:
        """A batch is in the store."""
        self.saved_articles += articles
        self._saved.inc(articles)
        self._words.inc(text_words)
        self._entities.inc(entities)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        series = self._series.get((route, method, status))
        if series is None:  # looking them up takes longer than incrementing them
            series = self._series[route, method, status] = (
                self._requests.labels(route, method, str(status)),
                self._request_seconds.labels(route),
            )
        series[0].inc()
        series[1].observe(seconds)

    def extracted(self, seconds: float) -> None:
        """A batch was extracted."""
        self._extraction.observe(seconds)

    def committed(self, seconds: float, writes: int) -> None:
        """A commit wrote so many rows or documents to the store."""
        self._commit.observe(seconds)
        self._writes.inc(writes)

    def worker(self, name: str, memory: int, restarts: int) -> None:
        """A worker's memory in bytes, and how often it was replaced."""
        self._memory.labels(name).set(memory)
        self._restarts.labels(name).set(restarts)

    def forget_workers(self) -> None:
        """They were another cluster's."""
        self._memory.clear()
        self._restarts.clear()

    def sample(self, now: float) -> None:
        """Take a sample for the rates; to be called every few seconds. `now` is in seconds."""
        self._rates.add(Sample(now, self.accepted, self.saved_articles))

    def rates(self, now: float) -> tuple[float, float]:
        """Articles accepted and saved per second, over the last minute."""
        return self._rates.until(Sample(now, self.accepted, self.saved_articles))

    def history(self) -> list[Rate]:
        """The rates of the last minutes, the oldest first."""
        return self._rates.history()

    def text(self, gauges: GaugeValues) -> bytes:
        """All metrics in Prometheus' format."""
        self._spool_articles.set(gauges.spool_articles)
        self._spool_bytes.set(gauges.spool_bytes)
        self._oldest.set(gauges.oldest_seconds)
        self._in_flight.set(gauges.in_flight)
        return generate_latest(self.registry)
