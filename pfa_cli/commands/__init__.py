"""The modules of the commands, one per group.

Each is loaded when one of its commands is asked for.
"""
