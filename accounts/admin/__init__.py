"""The pages of accounts in the admin, one file per concept."""

from accounts.admin import people, permission_models, permission_tuples, teams

__all__ = ["people", "permission_models", "permission_tuples", "teams"]
