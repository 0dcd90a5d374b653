"""Moved to `core.admin.actions`; kept until nothing imports it from here."""

from core.admin.actions import *  # noqa: F403
