"""Moved to `core.admin.lists`; kept until nothing imports it from here."""

from core.admin.lists import *  # noqa: F403
