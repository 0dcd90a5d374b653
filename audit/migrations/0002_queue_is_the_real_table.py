"""Events are queued for sealing in the real table, whatever temporary ones their writer has."""

from django.db import migrations

from core.migration_operations import PinSearchPath


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_event_log")]

    operations = [PinSearchPath("audit_queue_events()")]
