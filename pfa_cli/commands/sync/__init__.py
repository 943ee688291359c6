"""The commands of `pfa sync`, a module each."""

from __future__ import annotations

from pfa_cli.commands.sync import pull, push, runs
from pfa_cli.commands.sync.group import app

__all__ = ["app", "pull", "push", "runs"]
