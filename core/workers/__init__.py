"""How a worker stays at work: it finds a broker that went away again, or it ends and is started anew.

`transport` makes a dead connection an error that Celery knows; `consumer` reconnects soon and beats; `watch` ends the
process when the beat stops; `marks` writes down in PostgreSQL that it lives, for those who look from outside.
"""
