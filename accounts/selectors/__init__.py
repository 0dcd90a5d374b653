"""Questions that read across models."""
