"""Commands that are built when they are named."""

from __future__ import annotations

from typing import Any

import typer
from typer.main import get_command_from_info, get_group


def built(app: typer.Typer, name: str) -> Any:
    """Build one command or group of an app; of its other commands none."""
    for info in app.registered_commands:
        if info.name == name:
            return get_command_from_info(
                info, pretty_exceptions_short=app.pretty_exceptions_short, rich_markup_mode=None
            )
    return get_group(app).commands[name]
