from django.db import migrations

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0009_pages_of_lists")]

    operations = [MakeEngine("46651ed84b31")]
