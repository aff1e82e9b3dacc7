"""The service's metrics."""

from __future__ import annotations

from collections import Counter

from daskingest.service.metrics import GaugeValues, Metrics

NONE = GaugeValues(0, 0, 0.0, 0)


def lines(metrics: Metrics, gauges: GaugeValues = NONE) -> set[str]:
    return set(metrics.text(gauges).decode().splitlines())


def test_articles_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics(0)
    metrics.taken(5, repeated=False)
    metrics.taken(2, repeated=True)
    metrics.rejected("no content", 4_321)
    metrics.rejected("no content", 1)
    metrics.saved(3, 40, 7)
    assert (metrics.accepted, metrics.duplicates, metrics.saved_articles) == (5, 2, 3)
    assert metrics.rejects == Counter({"no content": 4_322})
    assert lines(metrics) >= {
        "daskingest_articles_accepted_total 5.0",
        "daskingest_articles_duplicate_total 2.0",
        'daskingest_articles_rejected_total{reason="no content"} 4322.0',
        "daskingest_articles_saved_total 3.0",
        "daskingest_words_saved_total 40.0",
        "daskingest_entities_saved_total 7.0",
    }


def test_levels_are_those_of_the_moment() -> None:
    metrics = Metrics(0)
    assert "daskingest_spool_articles 0.0" in lines(metrics)
    assert lines(metrics, GaugeValues(3, 600, 1.5, 2)) >= {
        "daskingest_spool_articles 3.0",
        "daskingest_spool_bytes 600.0",
        "daskingest_oldest_article_age_seconds 1.5",
        "daskingest_articles_in_flight 2.0",
    }


def test_batches_requests_and_workers() -> None:
    metrics = Metrics(0)
    metrics.released(7, 1_400, "idle", 0.3)
    metrics.answered("/articles", "POST", 202, 0.002)
    metrics.answered("/articles", "POST", 202, 0.002)
    metrics.worker("extract-0", 1_000, 2)
    assert lines(metrics) >= {
        'daskingest_batches_released_total{reason="idle"} 1.0',
        'daskingest_batch_articles_bucket{le="5.0"} 0.0',
        'daskingest_batch_articles_bucket{le="10.0"} 1.0',
        "daskingest_batch_bytes_total 1400.0",
        'daskingest_batch_wait_seconds_bucket{le="0.5"} 1.0',
        'daskingest_http_requests_total{method="POST",route="/articles",status="202"} 2.0',
        'daskingest_http_request_seconds_bucket{le="0.005",route="/articles"} 2.0',
        'daskingest_worker_memory_bytes{worker="extract-0"} 1000.0',
        'daskingest_worker_restarts{worker="extract-0"} 2.0',
    }


def test_rates_are_those_of_the_last_minute() -> None:
    metrics = Metrics(100)
    metrics.taken(10, repeated=False)
    metrics.saved(5, 0, 0)
    assert metrics.rates(110) == (1.0, 0.5)
    for now in range(110, 300, 10):
        metrics.sample(now)
    assert metrics.rates(300) == (0.0, 0.0)
    metrics.taken(30, repeated=False)
    assert metrics.rates(290) == (0.5, 0.0)
