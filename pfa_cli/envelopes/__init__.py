"""Shapes of `-o json`: one frozen value for each kind of result."""
