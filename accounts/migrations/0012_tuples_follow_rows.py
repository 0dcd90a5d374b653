from django.db import migrations, models

from accounts.permissions.mirrors import MakeMirrors
from accounts.permissions.models import JSONInOrder


class Migration(migrations.Migration):
    """Roles, scopes, teams, custom roles and shares are tuples of the permission engine from now on."""

    dependencies = [("accounts", "0011_given_tuples_beside_the_index")]

    operations = [
        migrations.RemoveField(model_name="permissionmodel", name="nodes"),
        migrations.AddField(
            model_name="permissionmodel", name="digest", field=models.CharField(default="", max_length=64)
        ),
        migrations.AlterField(model_name="permissionmodel", name="document", field=JSONInOrder()),
        MakeMirrors(),
    ]
