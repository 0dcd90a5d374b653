"""Questions to the assistant's own tables."""
