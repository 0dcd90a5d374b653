"""The routes of the assistant, below `/api/v1/`."""

from __future__ import annotations

from django.urls import path

from ai.api.views import AskView, QuestionViewSet

urlpatterns = [
    path("ai/ask", AskView.as_view(), name="ai-ask"),
    path("ai/questions", QuestionViewSet.as_view({"get": "list"}), name="ai-question-list"),
    path("ai/questions/<str:id>", QuestionViewSet.as_view({"get": "retrieve"}), name="ai-question-detail"),
    path("ai/questions/<str:id>/feedback", QuestionViewSet.as_view({"post": "feedback"}), name="ai-question-feedback"),
]
