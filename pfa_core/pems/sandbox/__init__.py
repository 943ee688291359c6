"""A sandbox of PEMS for practice and tests."""
