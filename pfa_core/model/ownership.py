"""Who has the last word on a field when PEMS and a user changed it both: configuration, not code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pfa_core.errors import ConfigInvalid
from pfa_core.model.delta import FieldConflict
from pfa_core.model.record import EDITABLE


class Owner(StrEnum):
    """Whose value stands: the user's, PEMS's, or a person decides."""

    MINE = "mine"
    PEMS = "pems"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Ownership:
    """The owner of each field that has one of its own, and of all others."""

    fields: Mapping[str, Owner] = field(default_factory=dict)
    default: Owner = Owner.ASK

    def of(self, name: str) -> Owner:
        """The owner of a field."""
        return self.fields.get(name, self.default)

    def split(self, conflicts: Iterable[FieldConflict]) -> dict[Owner, list[FieldConflict]]:
        """The conflicts by who settles them; every owner has a list."""
        found: dict[Owner, list[FieldConflict]] = {owner: [] for owner in Owner}
        for conflict in conflicts:
            found[self.of(conflict.field)].append(conflict)
        return found


def read_ownership(table: Mapping[str, str], source: str) -> Ownership:
    """The ownership of a table of field = "mine" | "pems" | "ask"; the key `default` means the rest.

    Raises:
        ConfigInvalid: A field that nobody can edit, or an owner that is none.
    """
    owners: dict[str, Owner] = {}
    for name, owner in table.items():
        if name != "default" and name not in EDITABLE:
            raise ConfigInvalid(f"{source} names {name!r}, which is no field that can be edited")
        if owner not in list(Owner):
            raise ConfigInvalid(
                f"{source}: {owner!r} owns nothing", hint=f"owners: {', '.join(Owner)}"
            )
        owners[name] = Owner(owner)
    default = owners.pop("default", Owner.ASK)
    return Ownership(owners, default)
