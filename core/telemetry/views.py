"""`/metrics`, exact under several workers: each process counts in files of its own, the scrape adds them up."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess

from core.guard import is_trusted
from core.telemetry.metrics import ReadCollector
from core.telemetry.middleware import observe_pool


@require_safe
def scrape(request: HttpRequest) -> HttpResponse:
    """All figures in the text form of Prometheus; for this machine and the bearer of METRICS_TOKEN."""
    if not is_trusted(request):
        raise Http404
    observe_pool()
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
    registry = CollectorRegistry(support_collectors_without_names=True)
    registry.register(ReadCollector())
    if folder:
        forget_the_dead(Path(folder))
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
    else:
        body = generate_latest(REGISTRY) + generate_latest(registry)
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def forget_the_dead(folder: Path) -> None:
    """Drop the live gauges of processes that ended; what they counted stays counted."""
    for path in folder.glob("gauge_live*_*.db"):
        number = path.stem.rsplit("_", 1)[-1]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            multiprocess.mark_process_dead(int(number), path=str(folder))  # type: ignore[no-untyped-call]
