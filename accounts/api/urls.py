"""The routes of people and organisations, below `/api/v1/` (and the key set beside it)."""

from __future__ import annotations

from typing import Any

from django.urls import include, path

from accounts.api import auth_views as auth
from accounts.api import role_views, service_account_views, share_views, team_views, views

_ORGANIZATION = "organizations/<str:organization_id>"
_LIST: dict[str, Any] = {"get": "list"}
_ONE: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
_LIST_CREATE: dict[str, Any] = {"get": "list", "post": "create"}

urlpatterns = [
    path("auth/sign-up", auth.SignUpView.as_view(), name="auth-sign-up"),
    path("auth/verify-email", auth.VerifyEmailView.as_view(), name="auth-verify-email"),
    path("auth/resend-verification", auth.ResendVerificationView.as_view(), name="auth-resend-verification"),
    path("auth/login", auth.LoginView.as_view(), name="auth-login"),
    path("auth/refresh", auth.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout", auth.LogoutView.as_view(), name="auth-logout"),
    path("auth/password-reset", auth.PasswordResetView.as_view(), name="auth-password-reset"),
    path("auth/password-reset/confirm", auth.PasswordResetConfirmView.as_view(), name="auth-password-reset-confirm"),
    path("auth/password/change", auth.PasswordChangeView.as_view(), name="auth-password-change"),
    path(
        "auth/sessions",
        auth.SessionViewSet.as_view({"get": "list", "delete": "destroy_others"}),
        name="session-list",
    ),
    path("auth/sessions/<str:id>", auth.SessionViewSet.as_view({"delete": "destroy"}), name="session-detail"),
    path("permissions/", include("accounts.api.permission_urls")),
    path("me", auth.MeView.as_view(), name="me"),
    path("organizations", views.OrganizationViewSet.as_view(_LIST_CREATE), name="organization-list"),
    path(
        "organizations/<str:id>",
        views.OrganizationViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="organization-detail",
    ),
    path(f"{_ORGANIZATION}/members", views.MembershipViewSet.as_view(_LIST), name="membership-list"),
    path(
        f"{_ORGANIZATION}/members/<str:id>",
        views.MembershipViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="membership-detail",
    ),
    path(f"{_ORGANIZATION}/invitations", views.InvitationViewSet.as_view(_LIST_CREATE), name="invitation-list"),
    path(
        f"{_ORGANIZATION}/invitations/<str:id>/revoke",
        views.InvitationViewSet.as_view({"post": "revoke"}),
        name="invitation-revoke",
    ),
    path("invitations/accept", views.InvitationAcceptView.as_view(), name="invitation-accept"),
    path(f"{_ORGANIZATION}/api-keys", views.ApiKeyViewSet.as_view(_LIST_CREATE), name="api-key-list"),
    path(
        f"{_ORGANIZATION}/api-keys/<str:id>/rotate",
        views.ApiKeyViewSet.as_view({"post": "rotate"}),
        name="api-key-rotate",
    ),
    path(
        f"{_ORGANIZATION}/api-keys/<str:id>/revoke",
        views.ApiKeyViewSet.as_view({"post": "revoke"}),
        name="api-key-revoke",
    ),
    path(f"{_ORGANIZATION}/teams", team_views.OrganizationTeamViewSet.as_view(_LIST_CREATE), name="team-list"),
    path("teams/<str:id>", team_views.TeamViewSet.as_view(_ONE), name="team-detail"),
    path("teams/<str:team_id>/members", team_views.TeamMemberViewSet.as_view(_LIST_CREATE), name="team-member-list"),
    path(
        "teams/<str:team_id>/members/<str:id>",
        team_views.TeamMemberViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="team-member-detail",
    ),
    path(f"{_ORGANIZATION}/roles", role_views.OrganizationRoleViewSet.as_view(_LIST_CREATE), name="custom-role-list"),
    path(
        f"{_ORGANIZATION}/grantable-permissions",
        role_views.OrganizationRoleViewSet.as_view({"get": "grantable"}),
        name="grantable-permissions",
    ),
    path("roles/<str:id>", role_views.RoleViewSet.as_view(_ONE), name="custom-role-detail"),
    path("roles/<str:role_id>/assignees", role_views.RoleAssigneeViewSet.as_view(_LIST_CREATE), name="assignee-list"),
    path(
        "roles/<str:role_id>/assignees/<str:id>",
        role_views.RoleAssigneeViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="assignee-detail",
    ),
    path(
        f"{_ORGANIZATION}/service-accounts",
        service_account_views.OrganizationServiceAccountViewSet.as_view(_LIST_CREATE),
        name="service-account-list",
    ),
    path(
        "service-accounts/<str:id>",
        service_account_views.ServiceAccountViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="service-account-detail",
    ),
    *(
        path(
            f"service-accounts/<str:id>/{verb}",
            service_account_views.ServiceAccountViewSet.as_view({"post": verb}),
            name=f"service-account-{verb}",
        )
        for verb in ("deactivate", "reactivate")
    ),
    path("shares", share_views.ShareViewSet.as_view(_LIST_CREATE), name="share-list"),
    path(
        "shares/<str:id>",
        share_views.ShareViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="share-detail",
    ),
]

well_known = [path(".well-known/jwks.json", auth.JwksView.as_view(), name="jwks")]
