"""The HTTP face of people and organisations."""
