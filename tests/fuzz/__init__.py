"""Inputs of any bytes for every parser: see docs/reliability.md, `python -m tests.fuzz`."""
