"""Conflicts between PEMS and a user's changes."""
