"""How passwords are kept."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2idHasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, 2 passes, 1 lane: the first choice of OWASP's password storage cheat sheet (2024).

    Django's own default takes 100 MiB and 8 lanes, which a burst of sign-ins on a small machine cannot pay.
    """

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
