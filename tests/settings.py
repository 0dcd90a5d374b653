"""The product's own settings, on servers that belong to this test process alone."""

from tests.support import servers

SERVERS = servers.claim()

from project.settings import *  # noqa: E402, F403
