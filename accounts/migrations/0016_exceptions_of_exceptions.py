from django.db import migrations

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0015_lists_through_circles")]

    operations = [MakeEngine("73274f5fc8df")]
