"""Owners of fields: whose value wins in a conflict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pfa_core.errors import ConfigInvalid
from pfa_core.model.delta import FieldConflict
from pfa_core.model.record import EDITABLE


class Owner(StrEnum):
    """Whose value wins: the user's, that of PEMS, or a person decides."""

    MINE = "mine"
    PEMS = "pems"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Ownership:
    """The owners of single fields, and the owner of all others."""

    fields: Mapping[str, Owner] = field(default_factory=dict)
    default: Owner = Owner.ASK

    def of(self, name: str) -> Owner:
        """Return the owner of a field."""
        return self.fields.get(name, self.default)

    def split(self, conflicts: Iterable[FieldConflict]) -> dict[Owner, list[FieldConflict]]:
        """Group conflicts by the owner of their field; every owner has a list."""
        found: dict[Owner, list[FieldConflict]] = {owner: [] for owner in Owner}
        for conflict in conflicts:
            found[self.of(conflict.field)].append(conflict)
        return found


def read_ownership(table: Mapping[str, str], source: str) -> Ownership:
    """Read a table of field = "mine" | "pems" | "ask"; `default` means the rest.

    Raises:
        ConfigInvalid: A field that cannot be edited, or an unknown owner.
    """
    owners: dict[str, Owner] = {}
    for name, owner in table.items():
        if name != "default" and name not in EDITABLE:
            raise ConfigInvalid(f"{source}: not an editable field: {name!r}")
        if owner not in list(Owner):
            raise ConfigInvalid(
                f"{source}: invalid owner: {owner!r}", hint=f"owners: {', '.join(Owner)}"
            )
        owners[name] = Owner(owner)
    default = owners.pop("default", Owner.ASK)
    return Ownership(owners, default)
