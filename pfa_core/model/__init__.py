"""What the field is made of: frozen values and pure functions, the standard library only."""
