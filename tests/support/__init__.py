"""What the tests stand on: servers of their own, real processes, the reset of the database."""
