from django.db import migrations, models

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0013_checks_from_the_nearer_end")]

    operations = [
        migrations.AddField(
            model_name="permissionnode",
            name="is_layered",
            field=models.BooleanField(default=True, help_text="no operator that it leads to leads back to itself"),
        ),
        MakeEngine("99ee827ebb5b"),
    ]
