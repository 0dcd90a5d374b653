"""The WSGI entry point of the web server."""

import os

from django.core.wsgi import get_wsgi_application

from project.orphans import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
end_with_parent()
application = get_wsgi_application()
