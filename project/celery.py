"""The Celery application. The configuration stands in the settings, as CELERY_*."""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging, worker_init
from django.core.management.base import BaseCommand, SystemCheckError
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

for _scheme in ("redis", "rediss"):  # also redis+socket
    TRANSPORT_ALIASES[_scheme] = "core.workers.transport:Transport"

app = Celery("countinghouse")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()
app.autodiscover_tasks(["core"])


@celeryd_init.connect
def _listen_patiently(conf: Any, **_: Any) -> None:
    """A worker waits for messages longer than anybody may wait to hand one over."""
    if "socket_timeout" in conf.broker_transport_options:
        conf.broker_transport_options = {**conf.broker_transport_options, "socket_timeout": 10}


@worker_init.connect
def _refuse_what_commands_refuse(**_: Any) -> None:
    """A worker ends where every command would: with settings that cannot work, named in what it says last. (Celery runs
    Django's checks, but only looks at whether they raise.)"""
    try:
        BaseCommand().check()
    except SystemCheckError as fault:
        raise SystemExit(str(fault)) from None


@setup_logging.connect
def _keep_our_logging(loglevel: int | str | None = None, **_: Any) -> None:
    """Celery would set up handlers of its own; ours (the setting LOGGING) stay, at the level that was asked for."""
    if loglevel is not None:
        logging.getLogger().setLevel(loglevel)
