"""Questions about notifications."""
