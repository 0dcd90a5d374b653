"""A receiver of webhooks on the loopback interface: keeps what came, answers as it is told."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Came:
    """One request that came."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Says:
    """An answer: its status, headers and body; `delay` seconds go by first."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0


class Receiver:
    """`answers` are given one after another, the last one again and again; `by_path` answers a path in its own way."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.came: list[Came] = []
        self.answers: list[Says] = [Says()]
        self.by_path: dict[str, Says] = {}
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                says = outer._take(Came(self.path, self.headers, body, time.monotonic()))  # type: ignore[arg-type]
                time.sleep(says.delay)
                try:
                    self.send_response(says.status)
                    for name, value in says.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(says.body)))
                    self.end_headers()
                    self.wfile.write(says.body)
                except OSError:
                    pass  # who asked did not wait
                finally:
                    outer._left()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.came]

    def _take(self, came: Came) -> Says:
        with self._lock:
            self.came.append(came)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            if came.path in self.by_path:
                return self.by_path[came.path]
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def _left(self) -> None:
        with self._lock:
            self._now -= 1
