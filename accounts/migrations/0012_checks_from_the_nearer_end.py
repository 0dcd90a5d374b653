from django.db import migrations

from accounts.permissions.functions import MakeEngine


class Migration(migrations.Migration):

    dependencies = [("accounts", "0011_given_tuples_beside_the_index")]

    operations = [MakeEngine("379bc151cc47")]
