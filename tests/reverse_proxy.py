"""A small reverse proxy, which shows a service under a path prefix."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import httpx

_HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "content-encoding", "date")


@dataclass(frozen=True)
class Kind:
    """What a proxy does: whether it takes the prefix off, and whether it says so."""

    strips: bool
    says: bool = False


class ReverseProxy:
    """Listens while it is entered. What is not under the prefix is nowhere: 404."""

    def __init__(self, target: str, prefix: str, kind: Kind) -> None:
        self.asked: list[str] = []
        self._client = httpx.Client(base_url=target)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path, headers = self.path, dict(self.headers)
                proxy.asked.append(path)
                if path != prefix and not path.startswith((prefix + "/", prefix + "?")):
                    self.send_error(404, "not under the prefix")
                    return
                if kind.strips:
                    path = path.removeprefix(prefix)
                    path = path if path.startswith("/") else "/" + path
                if kind.says:
                    headers["X-Forwarded-Prefix"] = prefix
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = proxy._client.request(self.command, path, headers=headers, content=body)
                self.send_response(answer.status_code)
                for name, value in answer.headers.multi_items():
                    if name not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = self.origin + prefix
        """Without a slash at its end."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()
