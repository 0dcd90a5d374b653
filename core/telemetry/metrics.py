"""The figures of the house, in Prometheus form; names as its conventions have them (base units, `_total`).

Figures of connections and of Django's cache come from django-prometheus. Those of HTTP are ours: its middleware keeps
eighteen series per request and none by route template and status together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

log = structlog.get_logger(__name__)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30)

HTTP_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Requests, by route template (never by path).",
    ["method", "route", "status_code"],
    buckets=_SECONDS,
)
QUERY_SECONDS = Histogram(
    "database_query_duration_seconds",
    "Queries, by their first word.",
    ["operation"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
POOL = Gauge(
    "database_pool_connections", "Connections of the pools.", ["state"], multiprocess_mode="livesum"
)  # state: active, free, waiting (requests that wait for one)
POOL_ERRORS = Gauge("database_pool_errors", "Requests that got no connection.", multiprocess_mode="livesum")

LIMIT_DECISIONS = Counter(
    "rate_limit_decisions_total", "Decisions of the rate limits.", ["policy", "outcome"]
)  # outcome: allowed, refused, open (Redis down, let through), local (Redis down, counted in the process)
CACHE_REQUESTS = Counter(
    "cache_requests_total", "Questions to the versioned cache.", ["resource", "outcome"]
)  # outcome: hit, stale, miss, bypass (a write was under way), local, unavailable
OUTSIDE_CALLS = Histogram(
    "outside_call_duration_seconds",
    "Attempts to call a provider.",
    ["provider", "operation", "outcome"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # outcome: answered, rejected, failed, timed_out, invalid, error, busy, open
OUTSIDE_RETRIES = Counter("outside_retries_total", "Second and later attempts.", ["provider", "operation"])
STREAMS_OPEN = Gauge("streams_open", "Live streams that are open.", ["stream"], multiprocess_mode="livesum")
STREAMS_ENDED = Counter("streams_ended_total", "Live streams that ended, and why.", ["stream", "reason"])
STREAM_MESSAGES = Counter("stream_messages_total", "Messages of the streams that ended.", ["stream"])


# --- figures read when somebody asks ---

READ_SECONDS = 15.0
Reading = float | Mapping[str, float]


@dataclass(slots=True)
class _Read:
    """A figure that a function reads. With a label the function returns one number for each of its values."""

    name: str
    help: str
    function: Callable[[], Reading]
    label: str | None
    read_at: float = float("-inf")
    reading: Reading | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> Reading | None:
        """Return the reading, at most 15 seconds old; None when it cannot be read."""
        with self.lock:
            if time.monotonic() - self.read_at > READ_SECONDS:
                self.read_at = time.monotonic()
                try:
                    self.reading = self.function()
                except Exception:
                    log.exception("metrics.gauge_failed", gauge=self.name)
                    self.reading = None
            return self.reading


_read: dict[str, _Read] = {}


def business_gauge(name: str, text: str, function: Callable[[], Reading], *, label: str | None = None) -> None:
    """Register a figure that `function` reads at the scrape, at most every 15 seconds. With `label` it returns
    `{value of the label: number}`. Called from `AppConfig.ready()`; one that fails is left out and logged."""
    _read[name] = _Read(name, text, function, label)


class ReadCollector:
    """The figures read now, for a registry."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for each in list(_read.values()):
            reading = each.now()
            if reading is None:
                continue
            family = GaugeMetricFamily(each.name, each.help, labels=[each.label] if each.label else [])
            if isinstance(reading, Mapping):
                for value, number in reading.items():
                    family.add_metric([str(value)], float(number))
            else:
                family.add_metric([], float(reading))
            yield family

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())


def forget_readings() -> None:
    """Read everything anew at the next scrape."""
    for each in _read.values():
        each.read_at = float("-inf")
