"""The ASGI application of the streams' process.

It is not Django's: no middleware, no session, no template stands between a stream and its client. Health and figures
are answered by the very views of the web.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import structlog
from django.http import Http404, HttpRequest, HttpResponse

from core import context, health_views
from core.api import problems
from core.api.replies import JSON, encode
from core.errors import AppError, MethodNotAllowed, NotFound
from core.streams import http, threads, tickets
from core.streams.house import House, refusal_line
from core.streams.registry import streams
from core.telemetry import views as telemetry_views

_VIEWS: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/health": health_views.detail,
    "/health/live": health_views.live,
    "/health/ready": health_views.ready,
    "/health/startup": health_views.ready,
    "/metrics": telemetry_views.scrape,
}
_PREFIX = "/streams/"

log = structlog.get_logger("streams")


class Application:
    """`GET /streams/{name}?ticket=…`, health and figures."""

    def __init__(self) -> None:
        self.house: House | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            # A task of its own has a context of its own: the request's id stays with the request.
            await asyncio.create_task(self._answer(scope, receive, send))
        else:
            raise RuntimeError(f"{scope['type']} is not served here.")

    # --- start and stop ----------------------------------------------------------------------------------------------

    async def _live(self, receive: http.Receive, send: http.Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                self.house = House()
                self.house.begin()
                self._take_over_signals()
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _take_over_signals(self) -> None:
        """granian waits for open requests to end by themselves, and streams do not: so they are ended first.

        The loop's own handlers are told through a pipe, and a pipe that is full at that moment loses the signal.
        """
        loop = asyncio.get_running_loop()
        for order in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(order)
            signal.signal(order, lambda *_: loop.call_soon_threadsafe(self._stop_and_exit))

    def _stop_and_exit(self) -> None:
        if self._stopping is None:
            loop = asyncio.get_running_loop()
            self._stopping = loop.create_task(self._stop(), name="stream-stop")
            self._stopping.add_done_callback(lambda _: loop.call_soon(sys.exit, 0))

    async def _stop(self) -> None:
        if self.house is not None and not self.house.is_stopping:
            await self.house.stop()

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _answer(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        asked = http.read(scope)
        with context.use(asked.context):
            try:
                await self._route(asked, scope, receive, send)
            except Exception as fault:
                error = problems.as_app_error(fault)
                if error is None:
                    log.error("streams.unhandled_error", exc_info=fault, path=asked.path)
                    error = AppError("Something went wrong on our side. Quote the request id when you ask about it.")
                refusal_line(asked, error)
                await http.refuse(send, asked, error)

    async def _route(self, asked: http.Asked, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        view = _VIEWS.get(asked.path)
        if view is not None:
            peer = (scope.get("client") or ("",))[0]
            await http.answer_with(send, asked, await threads.entries.run(_view, view, http.as_django(asked, peer)))
            return
        if asked.path == _PREFIX and asked.method in ("GET", "HEAD"):
            # So that it can be asked for where a proxy leads nothing but /streams/ here.
            headers = http.headers_for(asked) | {"Content-Type": JSON}
            await http.answer(send, 200, headers, encode({"status": "live", "streams": sorted(streams)}).encode())
            return
        if not asked.path.startswith(_PREFIX):
            raise NotFound("There is nothing at this address.")
        stream = tickets.known(asked.path.removeprefix(_PREFIX))
        if asked.method == "OPTIONS":
            await http.answer(send, 204, http.preflight_headers(asked) | {"Allow": "GET"})
        elif asked.method != "GET":
            raise MethodNotAllowed("Allowed here: GET.", headers={"Allow": "GET"})
        elif self.house is None:
            raise AppError("The process has not begun.")
        else:
            await self.house.serve(stream, asked, receive, send)


def _view(view: Callable[[HttpRequest], HttpResponse], request: HttpRequest) -> HttpResponse:
    try:
        return view(request)
    except Http404:
        raise NotFound("There is nothing at this address.") from None
