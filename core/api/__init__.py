"""What every route of the API stands on: one dispatch, one shape of error, strict input, cursors, schema."""
