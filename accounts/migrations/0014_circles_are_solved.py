from django.db import migrations, models

from accounts.permissions.functions import MakeEngine
from core.migration_operations import OwnerFunction


class Migration(migrations.Migration):

    dependencies = [("accounts", "0013_checks_from_the_nearer_end")]

    operations = [
        migrations.AddField(
            model_name="permissionnode",
            name="is_layered",
            field=models.BooleanField(default=True, help_text="no operator that it leads to leads back to itself"),
        ),
        OwnerFunction(
            "permission_plan_anew()",
            "void",
            "ANALYZE (SKIP_LOCKED) accounts_relationtuple, accounts_permissionhop, accounts_permissionnode;",
        ),
        MakeEngine("41d9621e0bcb"),
    ]
