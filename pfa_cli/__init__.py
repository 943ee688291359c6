"""The command line: parses, calls one operation of pfa_core, renders."""
