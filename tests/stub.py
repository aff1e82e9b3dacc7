"""A small HTTP server that answers as a test says."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answered = tuple[int, dict[str, str], bytes]


@dataclass
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def articles(self) -> list[dict[str, Any]]:
        """The articles of its body."""
        gzipped = self.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(self.body) if gzipped else self.body
        return [json.loads(line) for line in body.split(b"\n")]


def taken(request: Request) -> Answered:
    """The answer of a service that takes everything."""
    said = {"accepted": len(request.articles), "rejected": 0, "errors": []}
    return 202, {}, json.dumps(said).encode()


class Stub:
    """Listens while it is entered; `requests` has what came. No answer: the connection is cut."""

    def __init__(
        self,
        answer: Callable[[Request], Answered | None] = taken,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.path, headers, body)
                stub.requests.append(request)
                answered = answer(request)
                if answered is None:
                    self.close_connection = True
                    return
                status, more, content = answered
                self.send_response(status)
                for name, value in {**more, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            request_queue_size = 128  # connections that the kernel would drop on a loaded machine

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that does not trust the certificate goes away

        self._server = Quiet(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
