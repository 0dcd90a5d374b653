"""Each subscription names its billing entity, so that figures per entity need no join with all customers.

Three steps, so that no lock is held for long on a table of millions: the column and the trigger that fills it for new
rows (processes of the older release do not know it), the rows that stand (0007), then the index and NOT NULL (0008).
"""

import django.db.models.deletion
from django.db import migrations, models

SQL = """
CREATE FUNCTION billing_subscription_entity() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'subscription %: its billing entity never changes', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'billing_subscription_entity_fixed';
    END IF;
    SELECT billing_entity_id INTO NEW.billing_entity_id FROM billing_customer WHERE id = NEW.customer_id;
    RETURN NEW;
END $$;
CREATE TRIGGER billing_subscription_entity_set BEFORE INSERT ON billing_subscription
    FOR EACH ROW EXECUTE FUNCTION billing_subscription_entity();
CREATE TRIGGER billing_subscription_entity_fixed BEFORE UPDATE OF billing_entity_id ON billing_subscription
    FOR EACH ROW WHEN (OLD.billing_entity_id IS NOT NULL AND OLD.billing_entity_id IS DISTINCT FROM NEW.billing_entity_id)
    EXECUTE FUNCTION billing_subscription_entity();
"""
UNDO = """
DROP TRIGGER billing_subscription_entity_fixed ON billing_subscription;
DROP TRIGGER billing_subscription_entity_set ON billing_subscription;
DROP FUNCTION billing_subscription_entity();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_checks_see_real_tables")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            "subscription",
            "billing_entity",
            models.ForeignKey(
                db_index=False,
                editable=False,
                help_text="The customer's, which never changes: so that figures per entity need no join.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.billingentity",
            ),
        ),
        migrations.RunSQL(SQL, UNDO),
    ]
