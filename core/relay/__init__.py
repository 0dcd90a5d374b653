"""The one process that keeps things moving: `manage.py relay`."""
