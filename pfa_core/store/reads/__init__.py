"""Reads of merged records, sums and counts."""
