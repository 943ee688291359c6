"""Orders of lists, each with a closed set of sort keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from pfa_core.errors import InvalidRequest
from pfa_core.model.suggest import not_one_of

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of an order; nulls come last either way."""

    field: str
    descending: bool = False


class Order(NamedTuple):
    """The sort keys that a list takes, as JSON spells them, and its usual order."""

    keys: tuple[str, ...]
    default: str

    def parse(self, text: str | None = None) -> tuple[SortKey, ...]:
        """Parse sort keys such as `status,-startedAt`; nothing means the usual order.

        Raises:
            InvalidRequest: A key that is unknown or named twice.
        """
        return parse_keys(text or "", self.keys) or parse_keys(self.default, self.keys)


def parse_keys(text: str, known: Iterable[str]) -> tuple[SortKey, ...]:
    """Parse sort keys such as `category,-forecastStart` out of the known ones.

    Raises:
        InvalidRequest: A key that is unknown or named twice.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    keys = tuple(SortKey(part.removeprefix("-"), part.startswith("-")) for part in parts)
    names, known = [key.field for key in keys], tuple(known)
    for name in names:
        if name not in known:
            raise not_one_of(
                f"cannot sort by {name!r}", name, known, listed="sortable", parameter="sort"
            )
    if len(set(names)) != len(names):
        raise InvalidRequest(f"a sort field is listed twice: {text!r}")
    return keys


def in_order(
    items: Iterable[Item], keys: Sequence[SortKey], values: Mapping[str, Callable[[Item], Any]]
) -> list[Item]:
    """Sort what is in memory.

    Ties stay in the order given, nulls come last either way.
    """
    found = list(items)
    for key in reversed(keys):
        value = values[key.field]
        present = [item for item in found if value(item) is not None]
        absent = [item for item in found if value(item) is None]
        present.sort(key=value, reverse=key.descending)
        found = present + absent
    return found


DRAFTS = Order(
    ("pfaId", "sessionId", "state", "version", "createdAt", "updatedAt", "committedAt"), "pfaId"
)
RUNS = Order(("startedAt", "finishedAt", "direction", "status", "userId", "source"), "-startedAt")
OUTCOMES = Order(("number", "pfaId", "outcome", "code", "at"), "number")
LOG = Order(("at", "userId", "action", "pfaId", "sessionId"), "-at")
CHANGES = Order(("changedAt", "pfaId", "change", "costEffect"), "-changedAt")
CONFLICTS = Order(("createdAt", "pfaId", "sessionId", "status", "resolvedAt"), "-createdAt")
TOKENS = Order(("issuedAt", "expiresAt", "userId", "kind", "role", "revokedAt"), "-issuedAt")
KEYS = Order(("createdAt", "keyId", "state", "notAfter", "retiredAt"), "-createdAt")
MEMBERS = Order(("userId", "role", "grantedAt", "grantedBy"), "userId")
ORGANIZATIONS = Order(("organization", "name", "role", "status", "createdAt"), "organization")
