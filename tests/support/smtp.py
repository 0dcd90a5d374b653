"""An SMTP server on the loopback (RFC 5321), real enough for Django's backend: it keeps what it was given, and fails as
it is told to."""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


@dataclass
class Sink:
    """Where mails end. Each entry of `answers` is given once, in order, in place of the usual one: a line such as
    "451 later" in answer to RCPT TO, or "hang up" after the mail was taken, before that is said."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_answer(self) -> str:
        with self._lock:
            self.asked += 1
            return self.answers.pop(0) if self.answers else ""

    def take(self, content: bytes) -> None:
        with self._lock:
            self.mails.append(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]

    @property
    def message_ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for mail in self.mails]


class _Session(socketserver.StreamRequestHandler):
    server: Any

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        sink: Sink = self.server.sink
        self.say("220 sink ESMTP")
        answer = ""
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                self.say("250 sink")
            elif verb == "RCPT":
                answer = sink.next_answer()
                self.say(answer if answer and answer != "hang up" else "250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                sink.take(self._content())
                if answer == "hang up":
                    return
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def _content(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)


class Server(socketserver.ThreadingTCPServer):
    """The sink's server: `with Server() as server: server.sink …`."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.sink = Sink(port=self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(timeout=5)
