"""Hints for filters that found nothing."""

from __future__ import annotations

import pfa_core as core
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_core.model import shell
from pfa_core.model.query import Filters


def hint_nothing_found(
    call: Invocation, talk: Talk, filters: Filters, otherwise: str = "no record matches"
) -> None:
    """Suggest the closest known value, or the first pull; else give `otherwise`."""
    if talk.quiet:
        return
    if listed := next((value for value in filters.id if "," in value), ""):
        ids = (word.strip() for word in listed.split(","))
        talk.hint("type: " + " ".join(f"--id {shell.word(word)}" for word in ids if word))
        return
    database, principal = call.database, call.principal
    found = core.suggest_value(database, principal, filters)
    if not found and not core.count_records(database, principal, core.Query()):
        found = f"{principal.organization_id} has no records yet; load them: pfa sync pull"
    talk.hint(found or otherwise)
