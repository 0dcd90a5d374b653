"""The frame: settings, addresses, processes, the admin site."""
