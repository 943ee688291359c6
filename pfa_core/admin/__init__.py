"""Administration of the database."""
