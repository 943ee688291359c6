"""Settings of an organization's costs."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from pfa_core.errors import InvalidRequest, NotFound
from pfa_core.model.audit import Action
from pfa_core.model.costing import RATE_UNITS, SPELLINGS
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import audit, members

FOREIGN_CURRENCY = ("exclude", "refuse")
NO_CURRENCY = "none"
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class CostSettings:
    """The settings that an organization's costs depend on.

    Args:
        currency: The currency of its sums; None: not set, and all amounts are added up.
        rate_uom: The unit of rates that name none.
        foreign_currency: What becomes of a record of another currency: `exclude` it from sums, or `refuse`
            it in a pull.
    """

    currency: str | None
    rate_uom: str
    foreign_currency: str


def _check(
    *,
    currency: str | None = None,
    rate_uom: str | None = None,
    foreign_currency: str | None = None,
    dry_run: bool = False,
) -> None:
    """Refuse invalid values."""
    if currency is None and rate_uom is None and foreign_currency is None:
        raise InvalidRequest(
            "no setting is given", hint="give --currency, --rate-uom or --foreign-currency"
        )
    if currency is not None:
        _parse_currency(currency)
    if rate_uom is not None:
        _parse_unit(rate_uom)
    if foreign_currency not in (None, *FOREIGN_CURRENCY):
        raise InvalidRequest(
            f"unknown value of foreign currency: {foreign_currency!r}",
            hint=f"use one of {', '.join(FOREIGN_CURRENCY)}",
        )


@writes(Operation.CONFIGURE_ORGANIZATION, check=_check)
def configure_organization(
    tx: Tx,
    *,
    currency: str | None = None,
    rate_uom: str | None = None,
    foreign_currency: str | None = None,
    dry_run: bool = False,
) -> CostSettings:
    """Change the settings that the costs of the caller's organization depend on.

    They hold for every user at once, and for what is stored already. What is None stays.

    Args:
        currency: Three letters, or `none` for no currency.
        rate_uom: A rate unit: month, week, day, 28-day.
        foreign_currency: `exclude` or `refuse`; to refuse needs a currency.

    Raises:
        InvalidRequest: No setting, an invalid value, or `refuse` without a currency.
        PermissionDenied: The caller lacks the right `manage_settings`.
    """
    members.lock_mirror(tx.conn, tx.organization_id)
    row = members.organization(tx.conn, tx.organization_id)
    if row is None:
        raise NotFound(f"the organization {tx.organization_id} is not found")
    before = CostSettings(row.currency, row.rate_uom, row.foreign_currency)
    after = CostSettings(
        before.currency if currency is None else _parse_currency(currency),
        before.rate_uom if rate_uom is None else _parse_unit(rate_uom),
        before.foreign_currency if foreign_currency is None else foreign_currency,
    )
    if after.foreign_currency == "refuse" and after.currency is None:
        raise InvalidRequest(
            f"{tx.organization_id} has no currency, and so none can be foreign to it",
            hint="type: pfa org set --currency CODE --foreign-currency refuse",
        )
    if after != before:
        members.put_settings(
            tx.conn,
            tx.organization_id,
            currency=after.currency,
            rate_uom=after.rate_uom,
            foreign_currency=after.foreign_currency,
        )
        entry = audit.Entry(tx.new_id(), before=_shown(before), after=_shown(after))
        tx.audit(Action.CONFIGURE, [entry])
    return after


def _shown(settings: CostSettings) -> dict[str, str | None]:
    return {item.name: getattr(settings, item.name) for item in fields(settings)}


def _parse_currency(text: str) -> str | None:
    code = text.strip().upper()
    if code == NO_CURRENCY.upper():
        return None
    if not _CURRENCY.fullmatch(code):
        raise InvalidRequest(
            f"invalid currency: {text!r}",
            hint="three letters, as USD or EUR; `none` for no currency",
        )
    return code


def _parse_unit(text: str) -> str:
    unit = SPELLINGS.get(text.strip().lower())
    if unit is None:
        raise InvalidRequest(
            f"unknown rate unit: {text!r}", hint=f"use one of {', '.join(RATE_UNITS)}"
        )
    return unit
