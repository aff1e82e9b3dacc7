"""Calls Dask actors without Dask's own proxy. All use of Dask's internals is here.

If Dask's proxy is an argument of a task, the task depends on the actor, and Dask prefers to run it
on the actor's worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distributed import Client, KilledWorker, get_worker
from distributed.core import send_recv
from distributed.protocol.serialize import Serialize
from distributed.utils import sync

_CONNECT_SECONDS = 3.0  # Dask's default is longer; workers would wait for a lost saver


class SaverLost(Exception):
    """The saver did not answer: its process is gone, or cannot be reached."""


@dataclass(frozen=True, slots=True)
class ActorAddress:
    """Where an actor is. Calls raise SaverLost if it is gone, else what the method raises."""

    worker: str
    key: str

    def call_from_task(self, method: str, *args: object) -> Any:
        """Call a method from a task, directly from its worker to the actor's worker."""
        worker = get_worker()
        message = self._message(method, args)

        async def call() -> Any:
            comm = await worker.rpc.connect(self.worker, timeout=_CONNECT_SECONDS)
            try:
                return await send_recv(comm, **message)
            finally:
                worker.rpc.reuse(self.worker, comm)

        try:
            reply = sync(worker.loop, call)
        except Exception as error:
            raise SaverLost(str(error) or type(error).__name__) from error
        return _answer(reply)

    async def call(self, client: Client, method: str, *args: object) -> Any:
        """Call a method from the driver, through the scheduler."""
        try:
            scheduler: Any = client.scheduler
            reply = await scheduler.proxy(worker=self.worker, msg=self._message(method, args))
        except Exception as error:
            raise SaverLost(str(error) or type(error).__name__) from error
        return _answer(reply)

    def _message(self, method: str, args: tuple[object, ...]) -> dict[str, Any]:
        wrapped = [Serialize(arg) for arg in args]
        call = {"actor": self.key, "function": method, "args": wrapped, "kwargs": {}}
        return {"op": "actor_execute", **call}


def memory_limit() -> int | None:
    """The bytes that the process may take as a worker, beyond which it is replaced, if it is one
    and has a limit."""
    try:
        worker: Any = get_worker()
    except ValueError:
        return None
    limit: int | None = worker.memory_manager.memory_limit
    return limit


def is_lost(error: Exception) -> bool:
    """Whether a future's error says that the actor's worker went, and not what its class raised.

    Dask itself starts an actor again that was lost while it started, and gives one up that ran.
    """
    if isinstance(error, RuntimeError):
        return str(error).startswith("Worker holding Actor was lost")
    return isinstance(error, KilledWorker)


def _answer(reply: Any) -> Any:
    if reply["status"] == "OK":
        return reply["result"]
    raise reply["exception"]
