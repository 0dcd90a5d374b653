"""Django's backend for PostgreSQL, as django-prometheus counts it, without what would be done anew per request."""
