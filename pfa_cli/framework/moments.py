"""Times on the command line: a day, an instant, or a duration before now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from pfa_cli.framework.durations import parse_duration
from pfa_core.errors import InvalidRequest

if TYPE_CHECKING:
    from pfa_core.model.changes import ChangeWindow

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse_instant(text: str) -> datetime:
    """Read a day or an instant, in UTC unless it says otherwise.

    Raises:
        ValueError, OverflowError: Another spelling, or a time that does not exist.
    """
    at = datetime.fromisoformat(text.strip())
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def parse_moment(text: str, now: datetime, *, whole_day: bool = False) -> datetime:
    """Read a day (UTC), an instant, or a duration before now.

    Args:
        whole_day: A day means its end.

    Raises:
        InvalidRequest: Another spelling.
    """
    try:
        at = parse_instant(text)
    except ValueError:
        try:
            return now - parse_duration(text)
        except (InvalidRequest, OverflowError):
            raise InvalidRequest(
                f"invalid time {text!r}",
                hint="write it as 2026-03-09, 2026-03-09T14:00:00Z, or 30m, 24h, 7d before now",
            ) from None
    return at + timedelta(days=1) if whole_day and _DAY.fullmatch(text.strip()) else at


def parse_window(
    since: str | None,
    until: str | None,
    run: str | None,
    now: datetime,
    *,
    otherwise: timedelta | None = None,
) -> ChangeWindow:
    """Read what changes are asked of: times, or runs.

    Args:
        since: A time, or a run.
        otherwise: How long before now it begins where nothing says when; None: always.

    Raises:
        InvalidRequest: An invalid time, or a run beside times.
    """
    from pfa_core.model.changes import ChangeWindow

    of_run = since if since and _is_run(since) else None
    begin = parse_moment(since, now) if since and not of_run else None
    if otherwise and not (since or until or run):
        begin = now - otherwise
    return ChangeWindow(
        since=begin,
        until=parse_moment(until, now, whole_day=True) if until else None,
        run_id=run,
        since_run=of_run,
    )


def _is_run(text: str) -> bool:
    try:
        return str(UUID(text.strip())) == text.strip().lower()
    except ValueError:
        return False
