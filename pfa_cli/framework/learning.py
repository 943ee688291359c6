"""Values of results, kept for completion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import pfa_core as core
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.kept_values import cache_key
from pfa_core.model.principal import Right

if TYPE_CHECKING:
    from pfa_core.model.figures import Stats
    from pfa_core.model.merged import MergedRecord
    from pfa_core.model.money import Amount

FIELDS = ("category", "class", "areaSilo", "manufacturer", "model", "contract", "currency")
RECORD, SESSION, RUN, USER, CONFLICT = "record", "session", "run", "user", "conflict"
VIEW = "view"
MANY = 10_000  # changes, which a pull takes more than two seconds for
LOOKED_AT = 50  # records of a list
_MOST_IDS = 200


def learn_records(call: Invocation, records: Sequence[MergedRecord]) -> None:
    """Keep ids and keys of the first records of a list."""
    if not call.learns:
        return
    shown = records[:LOOKED_AT]
    call.learn(RECORD, (record.pfa_id for record in shown))
    contents = [record.data for record in shown]
    for field in FIELDS:
        call.learn(field, (text for data in contents if (text := data.get(field))))


def learn_ids(call: Invocation, ids: Iterable[str]) -> None:
    """Keep the first ids of records that a command was about."""
    if call.learns:
        call.learn(RECORD, islice(ids, _MOST_IDS))


def learn_groups(call: Invocation, found: Stats[Amount]) -> None:
    """Keep the keys of groups of statistics."""
    if call.learns:
        call.learn("category", found.category_breakdown)
        for group in found.groups:
            for field in FIELDS:
                if value := group.key.get(field):
                    call.learn(field, [str(value)])


def learn_mirror(call: Invocation, changed: int) -> None:
    """Keep the keys that the mirror has after a pull that changed records.

    They are read by some hundred looks at indexes, which is little beside many changes, or once.
    """
    if not changed or not call.learns or Right.READ not in call.principal.rights:
        return
    if changed < MANY and _knows_categories(call):
        return
    known = core.list_values(call.database, call.principal)
    call.learn(RECORD, known.pop("pfaId"))
    for field, values in known.items():
        call.learn(field, values, whole=True)


def _knows_categories(call: Invocation) -> bool:
    from pfa_cli.completion import cache

    return "category" in cache.read(cache_key(call.settings, call.principal))
