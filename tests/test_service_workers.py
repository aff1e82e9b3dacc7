"""The workers, as the service sees them come and go."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from daskingest.service.metrics import Metrics
from daskingest.service.status import WorkerStatus
from daskingest.service.workers import SeenWorker, Worker, WorkerMonitor, update


def test_a_worker_at_another_address_was_replaced() -> None:
    workers = update({}, [SeenWorker("a", "tcp://1", 10), SeenWorker("b", "tcp://2", 20)])
    assert workers == {"a": Worker("tcp://1", 10, 0), "b": Worker("tcp://2", 20, 0)}
    workers = update(workers, [SeenWorker("b", "tcp://2", 25), SeenWorker("a", "tcp://3", 5)])
    assert workers == {"a": Worker("tcp://3", 5, 1), "b": Worker("tcp://2", 25, 0)}


def test_a_worker_that_is_gone_is_known_and_has_no_memory() -> None:
    workers = update({}, [SeenWorker("a", "tcp://1", 10)])
    workers = update(workers, [])
    assert workers == {"a": Worker("tcp://1", 0, 0)}
    workers = update(workers, [])
    workers = update(workers, [SeenWorker("a", "tcp://2", 10)])
    assert workers == {"a": Worker("tcp://2", 10, 1)}


class Scheduler:
    """What Dask's scheduler answers, one after the other."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)

    async def identity(self, n_workers: int) -> dict[str, Any]:
        assert n_workers == -1  # all of them
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_scheduler_that_does_not_answer_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    found = {"tcp://1": {"name": "a", "metrics": {"memory": 10}}, "tcp://2": {"name": 2}}
    scheduler = Scheduler(
        {"workers": found}, OSError("gone"), TimeoutError(), {"workers": {}}, KeyError("x")
    )
    client: Any = SimpleNamespace(scheduler=scheduler, status="running")

    async def go() -> None:
        monitor = WorkerMonitor(lambda: client, Metrics(0))
        await monitor.look(1)
        both = {"2": WorkerStatus(0, 0), "a": WorkerStatus(10, 0)}
        assert monitor.status() == both
        await monitor.look(3)
        await monitor.look(5)
        assert monitor.status() == both
        assert caplog.messages == ["the scheduler does not answer: gone; asking again"]
        await monitor.look(7)
        assert monitor.status() == {"2": WorkerStatus(0, 0), "a": WorkerStatus(0, 0)}
        with pytest.raises(KeyError):  # what it does not know how to survive
            await monitor.look(9)
        client.status = "connecting"
        await monitor.look(11)
        client.scheduler = None
        await monitor.look(13)

    asyncio.run(go())


def test_the_workers_of_a_lost_cluster_are_forgotten() -> None:
    async def go() -> None:
        clients: list[Any] = []
        monitor = WorkerMonitor(lambda: clients[-1], Metrics(0))
        for name in ("a", "b"):
            scheduler = Scheduler({"workers": {"tcp://1": {"name": name, "metrics": {}}}})
            clients.append(SimpleNamespace(scheduler=scheduler, status="running"))
            await monitor.look(1)
            assert monitor.status() == {name: WorkerStatus(0, 0)}
        clients.append(None)
        await monitor.look(2)
        assert monitor.status() == {}

    asyncio.run(go())
