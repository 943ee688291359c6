"""Organizations and databases on their way into a file and back."""
