"""The figures of the house, in Prometheus form; names as its conventions have them (base units, `_total`)."""

from __future__ import annotations

from prometheus_client import Counter

LIMIT_DECISIONS = Counter(
    "rate_limit_decisions_total", "Decisions of the rate limits.", ["policy", "outcome"]
)  # outcome: allowed, refused, open (Redis down, let through), local (Redis down, counted in the process)
CACHE_REQUESTS = Counter(
    "cache_requests_total", "Questions to the versioned cache.", ["resource", "outcome"]
)  # outcome: hit, stale, miss, bypass (a write was under way), local, unavailable
