"""The pages of accounts in the admin, one file per concept."""

from accounts.admin import people, permission_models, permission_tuples, staff_groups, teams

__all__ = ["people", "permission_models", "permission_tuples", "staff_groups", "teams"]
