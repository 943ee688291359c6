"""Completion of command lines in bash, zsh and fish.

`pfa __complete` answers from two places alone: tree.json, which docs/generate_completion.py makes of the
commands, and the values that commands kept. It imports neither typer nor the operations of the library, opens
no connection and says nothing on stderr.
"""
