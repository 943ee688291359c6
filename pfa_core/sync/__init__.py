"""Runs that exchange records with PEMS."""
