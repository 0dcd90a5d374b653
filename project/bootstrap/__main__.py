"""`python3 -m project.bootstrap` prints an interpreter that has all packages, those for development too."""

from project.bootstrap import DEVELOPMENT, ROOT, packages

print(packages.interpreter(ROOT, DEVELOPMENT))
