"""The commands of `pfa draft`, a module each."""

from __future__ import annotations

from pfa_cli.commands.drafts import save, set_fields, shift, unset, view
from pfa_cli.commands.drafts.group import app

__all__ = ["app", "save", "set_fields", "shift", "unset", "view"]
