"""Guards of a profile: the most that one commit, or one push, may change."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from pfa_core.config.profile import with_all_faults
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, InvalidRequest
from pfa_core.model.guards import Guards

_KEYS = ("max_records", "max_money", "max_percent")


def profile_guards(settings: Settings) -> Guards:
    """Read the limits of the profile, which hold beside those of the organization.

    Raises:
        ConfigInvalid: An unknown key, a value that is not a limit.
    """
    name = settings.profile or "default"
    table = settings.values.get("guard", {})
    place = f"[profiles.{name}.guard]"
    try:
        return _guards(table, place, f"profile {name}")
    except ConfigInvalid as first:
        raise with_all_faults(first, {name: {"guard": table}}) from None


def _guards(table: dict[str, Any], place: str, source: str) -> Guards:
    for key in table:
        if key not in _KEYS:
            raise ConfigInvalid(
                f"{place} has the unknown key {key!r}", hint=f"known keys: {', '.join(_KEYS)}"
            )
    records = table.get("max_records")
    if records is not None and (isinstance(records, bool) or not isinstance(records, int)):
        raise ConfigInvalid(f"{place} max_records must be a whole number, 0 or more")
    try:
        return Guards(
            max_records=records,
            max_money=_number(table, "max_money", place),
            max_percent=_number(table, "max_percent", place),
            source=source,
        )
    except InvalidRequest as error:
        raise ConfigInvalid(f"{place} {error.message.replace('`', '')}") from None


def _number(table: dict[str, Any], key: str, place: str) -> Decimal | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigInvalid(f"{place} {key} must be a number, 0 or more")
    return Decimal(repr(value))  # the digits that the file has
