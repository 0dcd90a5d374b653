"""Verbs: the only code of the assistant that writes."""
