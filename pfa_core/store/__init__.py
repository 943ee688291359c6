"""The statements of the database, as one function each over a connection.

None commits or decides.
"""
