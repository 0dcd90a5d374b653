"""Lists of the admin as files: asked for on a page, made by a job, fetched by who asked."""
