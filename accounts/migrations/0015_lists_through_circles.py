from django.db import migrations

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0014_circles_are_solved")]

    operations = [MakeEngine("d1aebe7f23d2")]
