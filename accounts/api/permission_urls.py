"""The routes of the permission engine, below `/api/v1/permissions/`."""

from __future__ import annotations

from django.urls import path

from accounts.api import permission_tuple_views as tuples
from accounts.api import permission_views as questions

urlpatterns = [
    path("tuples", tuples.TupleView.as_view(), name="permission-tuples"),
    path("check", questions.CheckView.as_view(), name="permission-check"),
    path("batch-check", questions.BatchCheckView.as_view(), name="permission-batch-check"),
]
