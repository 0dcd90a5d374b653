"""The functions of the permission engine, as they stand in `accounts.permissions.functions`."""

from django.db import migrations

from accounts.permissions import functions


class Migration(migrations.Migration):

    dependencies = [("accounts", "0005_relation_tuples")]

    operations = [migrations.RunSQL(functions.create(), functions.drop())]
