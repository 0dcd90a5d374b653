"""The verbs of billing: the only code that writes."""
