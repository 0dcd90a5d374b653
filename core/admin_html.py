"""Moved to `core.admin.html`; kept until nothing imports it from here."""

from core.admin.html import *  # noqa: F403
