from django.db import migrations

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0005_relation_tuples")]

    operations = [MakeEngine("7f43d13d2bf3")]
