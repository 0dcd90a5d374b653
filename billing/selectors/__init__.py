"""The questions of billing: the only code that reads across models."""
