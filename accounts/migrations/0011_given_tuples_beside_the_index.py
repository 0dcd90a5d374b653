from django.db import migrations

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0010_openfga_copy")]

    operations = [MakeEngine("46651ed84b31")]
