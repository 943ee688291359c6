"""The database: one function per statement. Takes a connection; never commits, never decides."""
