"""Settings of an organization: its costs, and guards of what is changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

from pfa_core.authorization import require
from pfa_core.errors import InvalidRequest, NotFound
from pfa_core.model.audit import Action
from pfa_core.model.costing import RATE_UNITS, SPELLINGS
from pfa_core.model.guards import NO_LIMIT, Guards
from pfa_core.model.rights import Operation, Right
from pfa_core.operation import Tx, writes
from pfa_core.store import audit, members

FOREIGN_CURRENCY = ("exclude", "refuse")
NO_CURRENCY = "none"
_CURRENCY = re.compile(r"[A-Z]{3}")
_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,6})?")
# A limit as it is given: a number, the text of one, or `none`; None: as it is.
Most = int | Decimal | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSettings:
    """The settings of an organization: what its costs depend on, and guards.

    Args:
        currency: The currency of its sums; None: not set, and all amounts are added up.
        rate_uom: The unit of rates that name none.
        foreign_currency: What becomes of a record of another currency: `exclude` it from sums, or `refuse`
            it in a pull.
        max_records: How many records one commit, or one push, may change at most; None, as below: any.
        max_money: How much forecast cost, up or down, added up record by record.
        max_percent: The same in per cent of the organization's forecast cost.
    """

    currency: str | None
    rate_uom: str
    foreign_currency: str
    max_records: int | None
    max_money: Decimal | None
    max_percent: Decimal | None


def _check(
    *,
    currency: str | None = None,
    rate_uom: str | None = None,
    foreign_currency: str | None = None,
    max_records: Most = None,
    max_money: Most = None,
    max_percent: Most = None,
    dry_run: bool = False,
) -> None:
    """Refuse invalid values."""
    given = (currency, rate_uom, foreign_currency, max_records, max_money, max_percent)
    if all(value is None for value in given):
        raise InvalidRequest(
            "no setting is given",
            hint="give `currency`, `rate_uom`, `foreign_currency`, `max_records`, `max_money` or"
            " `max_percent`",
        )
    _limits(Guards(), max_records, max_money, max_percent)
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
    max_records: Most = None,
    max_money: Most = None,
    max_percent: Most = None,
    dry_run: bool = False,
) -> CostSettings:
    """Change the settings of the caller's organization.

    They hold for every user at once, and for what is stored already. What is None stays.

    Args:
        currency: Three letters, or `none` for no currency.
        rate_uom: A rate unit: month, week, day, 28-day.
        foreign_currency: `exclude` or `refuse`; to refuse needs a currency.
        max_records: The most records that one commit, or one push, may change; `none`, as below: any number.
        max_money: The most forecast cost, up or down, added up record by record.
        max_percent: The same in per cent of the organization's forecast cost.

    Raises:
        InvalidRequest: No setting, an invalid value, or `refuse` without a currency.
        PermissionDenied: The caller lacks the right `manage_settings`, or, for limits of money,
            `view_financials`.
    """
    if (max_money, max_percent) != (None, None):
        why = "limits of money are changed by those who see it"
        require(tx.principal, tx.member, Right.VIEW_FINANCIALS, tx.operation, why=why)
    members.lock_mirror(tx.conn, tx.organization_id)
    row = members.organization(tx.conn, tx.organization_id)
    if row is None:
        raise NotFound(f"the organization {tx.organization_id} is not found")
    before = CostSettings(**{item.name: getattr(row, item.name) for item in fields(CostSettings)})
    now = Guards(max_records=row.max_records, max_money=row.max_money, max_percent=row.max_percent)
    guards = _limits(now, max_records, max_money, max_percent)
    after = CostSettings(
        currency=before.currency if currency is None else _parse_currency(currency),
        rate_uom=before.rate_uom if rate_uom is None else _parse_unit(rate_uom),
        foreign_currency=before.foreign_currency if foreign_currency is None else foreign_currency,
        max_records=guards.max_records,
        max_money=guards.max_money,
        max_percent=guards.max_percent,
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
            guards=guards,
        )
        entry = audit.Entry(tx.new_id(), before=_shown(before), after=_shown(after))
        tx.audit(Action.CONFIGURE, [entry])
    return replace(after, max_money=None, max_percent=None) if tx.mask.hides else after


def _shown(settings: CostSettings) -> dict[str, Any]:
    """Return the settings for the audit trail; limits that there are."""
    found = {item.name: getattr(settings, item.name) for item in fields(settings)}
    return {
        name: value
        for name, value in found.items()
        if value is not None or not name.startswith("max_")
    }


def _limits(before: Guards, records: Most, money: Most, percent: Most) -> Guards:
    """Return the limits that hold from now on; a limit that is not given stays."""
    return Guards(
        max_records=_whole(before.max_records, records),
        max_money=_number("max_money", before.max_money, money),
        max_percent=_number("max_percent", before.max_percent, percent),
    )


def _whole(before: int | None, given: Most) -> int | None:
    found = _number("max_records", None if before is None else Decimal(before), given)
    if found is not None and found != found.to_integral_value():
        raise InvalidRequest(
            f"`max_records` is not a whole number: {given}", parameter="max_records"
        )
    return None if found is None else int(found)


def _number(name: str, before: Decimal | None, given: Most) -> Decimal | None:
    if given is None:
        return before
    text = str(given).strip()
    if text.lower() == NO_LIMIT:
        return None
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest(
            f"`{name}` must be 0 or more, in plain digits: {given!r}",
            hint="like 250000 or 2.5; `none`: no limit",
            parameter=name,
        )
    return Decimal(text)


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
