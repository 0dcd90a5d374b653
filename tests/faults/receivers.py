"""Whom the product sends something to: a mail server and a receiver of webhooks on this machine, which write down what
came. Now and then one takes what it is sent and is gone before it says so: the sender must send it again."""

from __future__ import annotations

import email
import random
import socketserver
import threading
from collections import defaultdict
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

GONE_BEFORE_IT_ANSWERS = 0.02


@dataclass(frozen=True, slots=True)
class Hook:
    """One request that came."""

    id: str
    body: bytes
    is_genuine: bool


class _Quiet:
    """A server that says nothing of clients who were killed while they spoke."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None: ...


class _HttpServer(_Quiet, ThreadingHTTPServer): ...


class _MailServer(_Quiet, socketserver.ThreadingTCPServer): ...


class _Sink:
    """What both receivers share: a thread, a lock, and the chance to be gone before the answer."""

    server: socketserver.TCPServer

    def __init__(self, chance: random.Random) -> None:
        self._chance, self._lock = chance, threading.Lock()
        self._thread = threading.Thread(target=lambda: self.server.serve_forever(poll_interval=0.05), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def is_gone(self, is_new: bool) -> bool:
        """Whether it is gone this time, of what comes for the first time."""
        return is_new and self._chance.random() < GONE_BEFORE_IT_ANSWERS


class Hooks(_Sink):
    """Takes webhooks; `came` holds for each id (the header `webhook-id`) the requests that bore it, ids in the order in
    which they came first. They are verified as receivers do, with `secret`."""

    secret: str = ""

    def __init__(self, chance: random.Random) -> None:
        self.came: dict[str, list[Hook]] = defaultdict(list)
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if sink.take(Hook(self.headers["webhook-id"], body, sink.is_genuine(body, dict(self.headers)))):
                    self.close_connection = True
                    return
                self.send_response(204)
                self.end_headers()

            def log_request(self, *_: Any) -> None: ...

        self.server = _HttpServer(("127.0.0.1", 0), Handler)
        super().__init__(chance)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    def is_genuine(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True

    def take(self, hook: Hook) -> bool:
        """Write it down; return whether the sender shall not hear of it."""
        with self._lock:
            is_new = hook.id not in self.came
            self.came[hook.id].append(hook)
            return self.is_gone(is_new)


class Mailbox(_Sink):
    """A mail server (SMTP, RFC 5321, no more than Django needs); `came` holds for each Message-ID the mails that bore
    it."""

    def __init__(self, chance: random.Random) -> None:
        self.came: dict[str, list[Message]] = defaultdict(list)
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 mailbox")
                while line := self.rfile.readline():
                    verb = line[:4].upper()
                    if verb == b"DATA":
                        self._say("354 go on")
                        if sink.take(self._read()):
                            return
                    self._say("221 bye" if verb == b"QUIT" else "250 ok")
                    if verb == b"QUIT":
                        return

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

            def _read(self) -> bytes:
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b"."))
                return b"".join(lines) if line else b""

        self.server = _MailServer(("127.0.0.1", 0), Handler)
        super().__init__(chance)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def take(self, data: bytes) -> bool:
        """Write it down; return whether the sender shall not hear of it. Half a mail of a dead sender is none."""
        if not data:
            return True
        mail = email.message_from_bytes(data)
        with self._lock:
            is_new = mail["Message-ID"] not in self.came
            self.came[mail["Message-ID"]].append(mail)
            return self.is_gone(is_new)
