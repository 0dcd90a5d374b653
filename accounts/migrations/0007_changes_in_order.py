from django.db import migrations, models
from django.db.models.functions import Cast

PRESENT = Cast(Cast(models.Func(function="pg_current_xact_id"), models.TextField()), models.BigIntegerField())
HELP = "the number of the transaction (xid8) that did it"


class Migration(migrations.Migration):

    dependencies = [("accounts", "0006_permission_engine")]

    operations = [
        # What is there already is 0, before everything: a default that is no constant would write each row anew.
        migrations.AddField(
            model_name="relationchange",
            name="transaction",
            field=models.BigIntegerField(db_default=0, editable=False, help_text=HELP),
        ),
        migrations.AlterField(
            model_name="relationchange",
            name="transaction",
            field=models.BigIntegerField(db_default=PRESENT, editable=False, help_text=HELP),
        ),
        migrations.RemoveIndex(model_name="relationchange", name="accounts_change_by_type"),
        migrations.AddIndex(
            model_name="relationchange",
            index=models.Index(fields=["store_id", "transaction", "id"], name="accounts_change_in_order"),
        ),
        migrations.AddIndex(
            model_name="relationchange",
            index=models.Index(fields=["store_id", "object_type", "transaction", "id"], name="accounts_change_by_type"),
        ),
    ]
