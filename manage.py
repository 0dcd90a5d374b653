#!/usr/bin/env python3
"""The only tool to learn: `python3 manage.py dev` runs Countinghouse, `python3 manage.py test` tests it."""

import os
import sys


def main() -> None:
    """Make sure that the packages are there, then the servers, then run the command."""
    from project import bootstrap

    bootstrap.prepare(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    if sys.argv[1:2] == ["serve"]:  # read by the settings, so before them
        os.environ.setdefault("STATIC_FILES_HASHED", "true")
    from core.embedded import for_command

    for_command.serve(sys.argv)
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import ProgrammingError

    is_terse = "--traceback" not in sys.argv
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as fault:
        if is_terse:
            sys.exit(str(fault))  # names every wrong setting; where they are read helps nobody
        raise
    except ProgrammingError:  # a table that is not there: is the code newer than the database?
        from core import health

        if is_terse and (behind := health.migrations().detail):
            sys.exit(f"The database is older than the program: {behind} Run: python3 manage.py migrate")
        raise


if __name__ == "__main__":
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        sys.exit(
            "Countinghouse needs Python 3.11, 3.12 or 3.13; this is %s at %s.\n"  # noqa: UP031
            "Install one of these (Debian, Ubuntu: apt install python3.12; anywhere: uv python install 3.12)\n"
            "and run it by its name: python3.12 manage.py %s" % (sys.version.split()[0], sys.executable, "dev")
        )
    main()
