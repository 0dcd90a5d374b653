from django.db import migrations

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0005_relation_tuples")]

    operations = [MakeEngine("d9d798a4bc77")]
