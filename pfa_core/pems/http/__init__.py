"""HTTP to PEMS."""
