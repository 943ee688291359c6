"""Drafts: saved, compared, committed, withdrawn."""
