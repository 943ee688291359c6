"""Commands, their options and their signals."""
