"""The database: one function per statement, over a connection; none commits or decides."""
