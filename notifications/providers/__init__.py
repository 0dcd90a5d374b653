"""How notifications leave the house."""
