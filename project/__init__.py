"""The frame: settings, addresses, processes, the admin site.

Imports nothing, since `project.bootstrap` runs before any package is there.
"""
