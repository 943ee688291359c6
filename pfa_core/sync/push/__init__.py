"""Push: committed changes to PEMS."""
