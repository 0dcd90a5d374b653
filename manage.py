#!/usr/bin/env python3
"""The only tool to learn: `python3 manage.py dev` runs Countinghouse, `python3 manage.py test` tests it."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
