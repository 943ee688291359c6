"""Words of the program: codes, fields, states, terms."""
