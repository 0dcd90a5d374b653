"""The billing entity of a subscription is never empty, and figures per entity read an index. The index is built beside
the work that goes on; a constraint that is validated first spares NOT NULL the scan under an exclusive lock."""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

_TABLE = "billing_subscription"
_CHECK = "billing_subscription_entity_known"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("billing", "0007_fill_billing_entity")]

    operations = [
        migrations.RunSQL(
            [
                f"ALTER TABLE {_TABLE} DROP CONSTRAINT IF EXISTS {_CHECK}",
                f"ALTER TABLE {_TABLE} ADD CONSTRAINT {_CHECK} CHECK (billing_entity_id IS NOT NULL) NOT VALID",
                f"ALTER TABLE {_TABLE} VALIDATE CONSTRAINT {_CHECK}",
            ],
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            "subscription",
            "billing_entity",
            models.ForeignKey(
                db_index=False,
                editable=False,
                help_text="The customer's, which never changes: so that figures per entity need no join.",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.billingentity",
            ),
        ),
        migrations.RunSQL(f"ALTER TABLE {_TABLE} DROP CONSTRAINT {_CHECK}", migrations.RunSQL.noop),
        AddIndexConcurrently(
            "subscription",
            models.Index(fields=["billing_entity", "status"], include=["customer", "id"], name="billing_sub_of_entity"),
        ),
    ]
