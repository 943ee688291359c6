"""The embedded server: a PostgreSQL that pfa makes, starts and stops."""
