"""The commands of `pfa auth`, a module each."""

from __future__ import annotations

from pfa_cli.commands.auth import keys, signin, tokens
from pfa_cli.commands.auth.group import app

__all__ = ["app", "keys", "signin", "tokens"]
