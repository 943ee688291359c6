"""Writes that the sandbox stores otherwise than they were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pfa_core.model.record import FIELDS, Kind
from pfa_core.pems.sandbox import faults


def altered(changes: Mapping[str, Any], rules: Sequence[faults.FaultRule]) -> dict[str, Any]:
    """Return the changes as they are stored under the altering faults."""
    stored = dict(changes)
    for rule in rules:
        for name, value in stored.items():
            stored[name] = _altered(rule, FIELDS[name].kind, value)
    return stored


def _altered(rule: faults.FaultRule, kind: Kind, value: Any) -> Any:
    if rule.kind is faults.Kind.ROUNDS and kind is Kind.MONEY and value is not None:
        return int(Decimal(value).quantize(Decimal(1), ROUND_HALF_UP))
    if kind is not Kind.TEXT or not isinstance(value, str):
        return value
    if rule.kind is faults.Kind.CUTS:
        return value[: rule.length].rstrip()
    return value.upper() if rule.kind is faults.Kind.CAPITALS else value
