"""The PEMS client, and a sandbox of PEMS."""
