"""Reading files of customers: the mapping file and the rows. Nothing here writes to the database."""
