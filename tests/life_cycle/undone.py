"""The state that an undo brings back, as a dump of the tables."""

from __future__ import annotations

from typing import Any

import pfa_core
from pfa_core import Filters
from tests.factories import World

# All columns but those that only rise: the version, and the time of the last change.
_MODIFICATIONS = (
    "SELECT (to_jsonb(m) - 'version' - 'updated_at')::text FROM pfa_modification AS m"
    " ORDER BY m.modification_id"
)
_OVERLAYS = "SELECT to_jsonb(o)::text FROM pfa_overlay AS o ORDER BY o.user_id, o.pfa_id"


def state(world: World) -> dict[str, list[Any]]:
    """Modifications and overlays of all users as text, and each user's sums."""
    return {
        "modifications": world.rows(_MODIFICATIONS),
        "overlays": world.rows(_OVERLAYS),
        "sums": [
            str(pfa_core.compute_stats(world.db, world.principal(user), Filters()).figures)
            for user in world.users
        ],
    }


def links(world: World) -> int:
    """How many transactions the trail has."""
    return world.rows("SELECT coalesce(max(number), 0) FROM audit_link")[0][0]
