"""`pfa sync …`: one module for each of its commands."""

from __future__ import annotations

from pfa_cli.commands import sync_pull, sync_push, sync_runs
from pfa_cli.commands.sync_app import app

__all__ = ["app", "sync_pull", "sync_push", "sync_runs"]
