"""Field maps: aliases and transforms of values."""
