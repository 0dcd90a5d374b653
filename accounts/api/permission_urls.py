"""The routes of the permission engine, below `/api/v1/permissions/`."""

from __future__ import annotations

from django.urls import path

from accounts.api import permission_bulk_views as bulk
from accounts.api import permission_list_views as lists
from accounts.api import permission_model_views as models
from accounts.api import permission_tuple_views as tuples
from accounts.api import permission_views as questions

urlpatterns = [
    path("models", models.ModelListView.as_view(), name="permission-models"),
    path("models/validate", models.ModelValidateView.as_view(), name="permission-model-validate"),
    path("models/diff", models.ModelDiffView.as_view(), name="permission-model-diff"),
    path("models/<str:id>", models.ModelView.as_view(), name="permission-model"),
    path("tuples", tuples.TupleView.as_view(), name="permission-tuples"),
    path("changes", tuples.ChangeView.as_view(), name="permission-changes"),
    path("check", questions.CheckView.as_view(), name="permission-check"),
    path("batch-check", questions.BatchCheckView.as_view(), name="permission-batch-check"),
    path("list-objects", lists.ListObjectsView.as_view(), name="permission-list-objects"),
    path("list-users", lists.ListUsersView.as_view(), name="permission-list-users"),
    path("expand", questions.ExpandView.as_view(), name="permission-expand"),
    path("explain", questions.ExplainView.as_view(), name="permission-explain"),
    path(
        "organizations/<str:organization_id>/users/bulk",
        bulk.BulkMembershipViewSet.as_view({"post": "bulk"}),
        name="permission-bulk",
    ),
]
