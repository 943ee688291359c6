"""Pull: PEMS or files into the mirror."""
