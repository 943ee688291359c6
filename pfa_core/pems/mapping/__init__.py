"""Field maps: aliases of fields, transforms of values."""
