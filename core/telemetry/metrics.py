"""The figures of the house, in Prometheus form; names as its conventions have them (base units, `_total`)."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

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
