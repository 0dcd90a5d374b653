"""What stands between us and other people's code: tokens, the session cache, allauth, mail."""
