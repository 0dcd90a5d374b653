"""The pages of accounts in the admin, one file per concept."""

from accounts.admin import people, teams

__all__ = ["people", "teams"]
