"""A million records: every promise about speed beside its yardstick, measured in one run."""
