"""PostgreSQL and Valkey out of wheels, for `manage.py dev` and `manage.py test`. Nothing here needs Django."""
