"""What was kept so that a request happens once is not kept for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core import clock
from core.models import AdminSubmission
from core.relay import duties, retention


class Lease:
    held = 0

    def hold(self) -> None:
        self.held += 1


@pytest.mark.django_db
def test_forgets_form_tokens_of_long_ago_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 2)
    long_ago = clock.now() - retention.FORM_TOKENS_KEPT - timedelta(minutes=1)
    for number in range(5):
        AdminSubmission.objects.create(key=f"old-{number}", principal="staff:1", sent_at=long_ago)
    AdminSubmission.objects.create(key="fresh", principal="staff:1")
    lease: Any = Lease()
    assert duties["form tokens"].function(lease) == 5
    assert lease.held == 3
    assert AdminSubmission.objects.get().key == "fresh"
