"""Values that a command keeps for completion when it has ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pfa_core.config.settings import Settings
    from pfa_core.model.principal import Principal


class KeptValues:
    """What a command knows, collected while it is at work."""

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}
        self._whole: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._values)

    def add(self, kind: str, values: Iterable[str], *, whole: bool) -> None:
        """Add values of a kind; `whole`: there are no others."""
        self._values.setdefault(kind, []).extend(values)
        if whole:
            self._whole.add(kind)

    def keep(self, settings: Settings, principal: Principal) -> None:
        """Write them to the cache of their database and organization."""
        from pfa_cli.completion import cache

        user = principal.user_id
        cache.keep(
            cache_key(settings, principal),
            {cache.own(kind, user): values for kind, values in self._values.items()},
            [cache.own(kind, user) for kind in self._whole],
        )


def cache_key(settings: Settings, principal: Principal) -> str:
    """Name whose values the cache holds."""
    from pfa_cli.completion import cache

    database = settings.database_url or str(settings.embedded_dir)
    return cache.key(database, principal.organization_id)
