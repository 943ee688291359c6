"""Metadata of a command's JSON."""

from __future__ import annotations

from pfa_cli.envelopes.base import Metadata
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_core.model.query import Filters


def metadata(
    call: Invocation,
    talk: Talk,
    *,
    filters: Filters | None = None,
    total_records: int | None = None,
) -> Metadata:
    """Describe the circumstances of a read that is complete."""
    return Metadata(
        query_time=call.milliseconds,
        filters=None if filters is None else filters.given(),
        total_records=total_records,
        organization=call.principal.organization_id,
        masked=talk.masked or None,
    )
