"""The values and functions of the domain.

The values are frozen, the functions pure; they use the standard library only.
"""
