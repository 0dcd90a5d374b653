"""People, organisations, sessions, keys and who may do what."""
