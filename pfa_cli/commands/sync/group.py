"""The group `pfa sync`."""

from __future__ import annotations

from typing import Annotated

import typer

from pfa_cli.framework.compose import group
from pfa_core.model.run import IfLocked

app = typer.Typer(rich_markup_mode=None)
sync = group(app, "sync", "Exchange data with PEMS: pull records, push changes, list runs.")

Locked = Annotated[
    IfLocked,
    typer.Option(
        "--if-locked", metavar="fail|wait|skip", help="Behavior while another run is active."
    ),
]
