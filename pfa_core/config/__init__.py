"""Settings of the program and of PEMS."""
