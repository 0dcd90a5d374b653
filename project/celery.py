"""The Celery application. The configuration stands in the settings, as CELERY_*."""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("countinghouse")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()
app.autodiscover_tasks(["core"])


@setup_logging.connect
def _keep_our_logging(loglevel: int | str | None = None, **_: Any) -> None:
    """Celery would set up handlers of its own; ours (the setting LOGGING) stay, at the level that was asked for."""
    if loglevel is not None:
        logging.getLogger().setLevel(loglevel)
