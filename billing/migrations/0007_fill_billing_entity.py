"""Fill the billing entity of the subscriptions that stand: 500 rows a transaction, by key, so that it can be stopped
and run again, and nobody waits for it."""

from django.db import migrations

_BATCH = """
WITH batch AS (
    SELECT id, customer_id FROM billing_subscription WHERE id > %s ORDER BY id LIMIT 500
), filled AS (
    UPDATE billing_subscription AS subscription SET billing_entity_id = customer.billing_entity_id
      FROM batch JOIN billing_customer AS customer ON customer.id = batch.customer_id
     WHERE subscription.id = batch.id AND subscription.billing_entity_id IS NULL
)
SELECT id FROM batch ORDER BY id DESC LIMIT 1
"""


def fill(apps, schema_editor):
    last = "00000000-0000-0000-0000-000000000000"
    with schema_editor.connection.cursor() as cursor:
        while True:
            cursor.execute(_BATCH, [last])
            row = cursor.fetchone()
            if row is None:
                return
            last = row[0]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("billing", "0006_subscription_billing_entity")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
