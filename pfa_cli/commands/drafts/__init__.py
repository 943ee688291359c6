"""The commands of `pfa draft`; the group loads the one that is named."""

from __future__ import annotations

from pfa_cli.commands.drafts.group import app

__all__ = ["app"]
