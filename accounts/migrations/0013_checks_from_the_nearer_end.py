from django.db import migrations

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0012_tuples_follow_rows")]

    operations = [MakeEngine("8bc7109c82b2")]
