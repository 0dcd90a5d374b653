"""The product's settings with the tests' own streams, and little patience, for a process of streams."""

import os

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.support.toy_streams"]
STREAMS_HEARTBEAT_SECONDS = 0.3
STREAMS_RECHECK_SECONDS = float(os.environ.get("TESTS_RECHECK_SECONDS", "2"))
STREAMS_BLOCKED_SECONDS = 2.0
