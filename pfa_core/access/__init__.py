"""Organizations, members, authorization."""
