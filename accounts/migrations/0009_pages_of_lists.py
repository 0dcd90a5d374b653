from django.db import migrations

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0008_teams_roles_and_shares")]

    operations = [MakeEngine("2b4a838668c7")]
