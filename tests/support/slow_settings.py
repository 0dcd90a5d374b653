"""The product's settings with the tests' own jobs, for worker and relay processes."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.support.slow_jobs"]
