"""A loopback server that speaks as the Gemini API does (`generateContent`, `streamGenerateContent?alt=sse`).

The shapes are those of ai.google.dev/api/generate-content and of recorded replies: candidates with parts and a finish
reason, `usageMetadata` with `thoughtsTokenCount`, `promptFeedback.blockReason`, errors as google.rpc.Status. What it
does next is set by `next`: a function from the request's body to a `Reply`.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODEL = "gemini-test"


@dataclass
class Reply:
    """What the server answers. `pieces` are streamed one by one; `breaks_after` cuts the line after so many of them;
    `seconds` pass before the head, `pause` before each piece."""

    status: int = 200
    body: Any = None
    raw: bytes | None = None
    pieces: Sequence[Any] = ()
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    pause: float = 0
    breaks_after: int | None = None
    drops_line: bool = False


@dataclass
class Asked:
    path: str
    key: str
    body: dict[str, Any]

    @property
    def is_streamed(self) -> bool:
        return ":streamGenerateContent" in self.path

    @property
    def prompt(self) -> dict[str, Any]:
        """Passages and question, as we sent them."""
        found: dict[str, Any] = json.loads(self.body["contents"][0]["parts"][0]["text"])
        return found


def usage(tokens_in: int = 900, tokens_out: int = 60, thoughts: int = 40) -> dict[str, Any]:
    return {
        "promptTokenCount": tokens_in,
        "candidatesTokenCount": tokens_out,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": tokens_in + tokens_out + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens_in}],
    }


def piece(text: str, finish: str = "", counted: dict[str, Any] | None = None) -> dict[str, Any]:
    """One reply of generateContent, or one piece of a streamed one."""
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    shown: dict[str, Any] = {"candidates": [candidate], "modelVersion": MODEL, "responseId": "tTCwacuEBMvnitYP06qsgQY"}
    if counted is not None:
        shown["usageMetadata"] = counted
    return shown


def written(answer: str, *citations: tuple[int, str], grounded: bool = True) -> str:
    """What the model writes: the JSON that our schema asks for."""
    cited = [{"passage": number, "quote": quote} for number, quote in citations]
    return json.dumps({"answer": answer, "grounded": grounded, "citations": cited}, ensure_ascii=False)


def whole(text: str, **counted: int) -> Reply:
    return Reply(body=piece(text, "STOP", usage(**counted)), pieces=streamed(text, **counted))


def streamed(text: str, size: int = 7, **counted: int) -> list[dict[str, Any]]:
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    return [*(piece(part) for part in parts[:-1]), piece(parts[-1], "STOP", usage(**counted))]


def refusal(status: int, message: str, name: str, *details: dict[str, Any], **headers: str) -> Reply:
    error = {"code": status, "message": message, "status": name, "details": list(details)}
    return Reply(status, {"error": error}, headers={name.replace("_", "-"): value for name, value in headers.items()})


def quota(delay: str = "38.4s") -> Reply:
    return refusal(
        429,
        "You exceeded your current quota, please check your plan &#39;free&#39;.",
        "RESOURCE_EXHAUSTED",
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerMinute"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    )


def wrong_key() -> Reply:
    return refusal(
        400,
        "API key not valid. Please pass a valid API key.",
        "INVALID_ARGUMENT",
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        },
    )


def quoting(body: dict[str, Any]) -> Reply:
    """An obedient model: it quotes the first words of the first passage, or says that there is nothing."""
    prompt = json.loads(body["contents"][0]["parts"][0]["text"])
    if not prompt["passages"]:
        return whole(written("I do not know.", grounded=False))
    quote = " ".join(prompt["passages"][0]["text"].split()[:6])
    return whole(written(f"It says: {quote} [1]", (1, quote)))


class Gemini:
    """The server. Use it as a context manager."""

    def __init__(self, certificate: Path | None = None) -> None:
        """With `certificate` (a file with key and certificate) it speaks TLS."""
        self.next: Callable[[dict[str, Any]], Reply] = quoting
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hung up
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_address[1]}"

    def answers(self, *replies: Reply) -> None:
        """Answer with these, one after the other; the last one for ever."""
        left = list(replies)
        self.next = lambda body: left.pop(0) if len(left) > 1 else left[0]

    def __enter__(self) -> Gemini:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gemini = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                gemini.asked.append(Asked(self.path, self.headers.get("x-goog-api-key", ""), body))
                reply = gemini.next(body)
                time.sleep(reply.seconds)
                if reply.drops_line:
                    self.close_connection = True
                    return
                is_streamed = ":streamGenerateContent" in self.path and "alt=sse" in self.path
                if is_streamed and reply.pieces and reply.status == 200:
                    self._stream(reply)
                else:
                    self._send(reply)

            def _send(self, reply: Reply) -> None:
                content = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                kind = "text/html" if reply.raw is not None else "application/json; charset=UTF-8"
                for name, value in {"Content-Type": kind, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _stream(self, reply: Reply) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for number, one in enumerate(reply.pieces):
                    if reply.breaks_after is not None and number >= reply.breaks_after:
                        self.close_connection = True
                        return
                    time.sleep(reply.pause)
                    chunk = f"data: {json.dumps(one)}\r\n\r\n".encode()
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_: object) -> None:
                pass

        return Handler
