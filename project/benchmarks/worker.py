"""One side of a comparison: a process that answers requests of its own making and says what CPU they took.

Reads lines of JSON `{"path", "token", "times"}`, answers `{"cpu", "status", "size"}` (CPU seconds of this process).
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from typing import Any


def environ(path: str, token: str) -> dict[str, Any]:
    """Return a WSGI environment (PEP 3333) of an authenticated GET."""
    path, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "testserver",
        "HTTP_ACCEPT": "application/json",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def serve(settings_module: str) -> None:
    """Answer until standard input ends."""
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    for line in sys.stdin:
        order = json.loads(line)
        seen: list[str] = []
        size = 0
        start = time.process_time()
        for _ in range(order["times"]):
            response = application(environ(order["path"], order["token"]), lambda status, _headers: seen.append(status))
            size = sum(len(part) for part in response)
            response.close()  # type: ignore[attr-defined]
        cpu = time.process_time() - start
        print(json.dumps({"cpu": cpu, "status": sorted(set(seen)), "size": size}), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve(sys.argv[1])
