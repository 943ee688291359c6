"""What PEMS and users changed, as the mirror and the audit trail keep it."""
