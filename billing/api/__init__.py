"""The REST API of billing."""
