"""The option that lets a commit or a push be over a limit, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pfa_cli.framework.talk import Talk

if TYPE_CHECKING:
    from pfa_core.errors import GuardExcess

Override = Annotated[
    str | None,
    typer.Option(
        "--override", metavar="REASON", help="Go over a limit; the audit trail keeps why."
    ),
]


def say_overridden(talk: Talk, over: Sequence[GuardExcess], reason: str | None) -> None:
    """Say which limits were overridden, or that none had to be."""
    if reason is None:
        return
    if not over:
        talk.say("no limit was exceeded: --override was not needed, and is not recorded")
        return
    by_source: dict[str, list[str]] = {}
    for one in over:
        by_source.setdefault(one.source, []).append(one.guard)
    limits = "; ".join(f"{', '.join(names)} of {source}" for source, names in by_source.items())
    text = f"over {'a limit' if len(over) == 1 else f'{len(over)} limits'} ({limits})"
    if not talk.is_dry_run:
        text += "; your reason is recorded: pfa log --action override"
    talk.done(text)
