"""The ASGI entry point of the live streams. Everything else is served by `project.wsgi`."""

import os

import django

from project.orphans import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
end_with_parent()
django.setup()

from core.streams.application import Application  # noqa: E402 - the apps must be ready

application = Application()
