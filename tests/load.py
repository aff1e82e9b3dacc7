"""A load generator that costs little itself: raw requests over connections that stay open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Load:
    """What a load came to."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    """Of accepted requests, in seconds."""

    @property
    def accepted(self) -> int:
        return sum(count for status, count in self.statuses.items() if status in (200, 201, 202))

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def request(path: str, body: bytes, *headers: str) -> bytes:
    """The bytes of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def load(port: int, requests: Iterator[bytes], clients: int, seconds: float) -> Load:
    """Send requests over so many connections in parallel, each after the previous answer."""
    result = Load()
    started = time.perf_counter()
    end = started + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for each in requests:
            sent = time.perf_counter()
            if sent > end:
                break
            writer.write(each)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            status = int(head[9:12])
            result.statuses[status] = result.statuses.get(status, 0) + 1
            if status in (200, 201, 202):
                result.latencies.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    result.seconds = time.perf_counter() - started
    return result
