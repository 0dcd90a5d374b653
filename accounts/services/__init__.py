"""The verbs of people and organisations: the only code that writes."""
