"""A world with a PEMS beside it: the same records on both sides, and the way between them.

with a_far_side(database_url, record("P-1")) as far:
    draft(far.db, far.ann, "P-1", monthlyRate=5)
    commit(far.db, far.ann)
    assert far.push().synced == 1
    far.require_agreement()
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pfa_core
from pfa_core.model.delta import same
from pfa_core.model.principal import Principal
from pfa_core.pems.profile import GridSettings, PemsProfile
from pfa_core.pems.sandbox.http import Request, Response
from pfa_core.pems.sandbox.http_server import HttpServer
from pfa_core.pems.sandbox.server import Outcome, Sandbox
from pfa_core.store.database import Database
from pfa_core.sync.pull.options import PullResult
from pfa_core.sync.push.options import PushOptions, PushResult
from tests.factories import World, a_world

ORG = "ORG"


def a_profile(url: str, **changes: Any) -> PemsProfile:
    """The profile of a PEMS that is tried again within milliseconds."""
    plain = PemsProfile(
        url=url, organization_id=ORG, organization=ORG, retry_delay=0.02, timeout=5, grid_timeout=5
    )
    return replace(plain, **changes)


@dataclass
class FarSide:
    """A world, its PEMS, and the way there."""

    world: World
    pems: Sandbox
    profile: PemsProfile
    options: PushOptions = field(default_factory=PushOptions)

    @property
    def db(self) -> Database:
        return self.world.db

    @property
    def ann(self) -> Principal:
        return self.world.principal("ann")

    def push(self, **changes: Any) -> PushResult:
        """A push by ann."""
        return pfa_core.push_changes(
            self.db, self.ann, self.profile, replace(self.options, **changes)
        )

    def pull(self, **options: Any) -> PullResult:
        """A pull from PEMS by ann."""
        return pfa_core.pull_pems(self.db, self.ann, self.profile, pfa_core.PullOptions(**options))

    def states(self) -> dict[str, int]:
        """How many modifications are in which state."""
        return dict(
            self.world.rows("SELECT state, count(*) FROM pfa_modification GROUP BY 1 ORDER BY 1")
        )

    def applied(self, pfa_id: str | None = None) -> list[dict[str, Any]]:
        """What PEMS applied of the pushes' writes, in order."""
        return [
            dict(entry.write.changes or {})
            for entry in self.pems.log
            if entry.outcome is Outcome.APPLIED
            and entry.write.writer != "other"
            and pfa_id in (None, entry.write.pfa_id)
        ]

    def require_agreement(self) -> None:
        """The mirror equals PEMS, record by record."""
        mirror = self.world.mirror()
        pems = {item.pfa_id: item.data for item in self.pems.records}
        assert mirror.keys() == pems.keys()
        differing = {
            (pfa_id, name): (mirror[pfa_id].get(name), value)
            for pfa_id, held in pems.items()
            for name, value in held.items()
            if name in mirror[pfa_id] and not same(mirror[pfa_id].get(name), value)
        }
        assert differing == {}

    def require_once(self) -> None:
        """No write was applied twice: the keys that PEMS applied are all different."""
        keys = Counter(
            entry.write.key
            for entry in self.pems.log
            if entry.outcome is Outcome.APPLIED and entry.write.key
        )
        assert [key for key, times in keys.items() if times > 1] == []


@contextmanager
def a_far_side(
    database_url: str,
    *records: Mapping[str, Any],
    users: Mapping[str, str] | None = None,
    page_size: int = 10_000,
    **sandbox: Any,
) -> Iterator[FarSide]:
    """A world whose mirror was filled from the same records as its PEMS."""
    world = a_world(database_url, *owned(records), users=users)
    with a_pems_beside(world, *records, page_size=page_size, **sandbox) as far:
        yield far


@contextmanager
def a_pems_beside(
    world: World, *records: Mapping[str, Any], page_size: int = 10_000, **sandbox: Any
) -> Iterator[FarSide]:
    """A PEMS with these records for a world that is there."""
    with Sandbox(organization=ORG, records=owned(records), **sandbox) as pems:
        profile = a_profile(pems.url, grid=GridSettings(page_size=page_size))
        yield FarSide(world, pems, profile)


def owned(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The records as those of the organization."""
    return [{**item, "organization": ORG} for item in records]


@contextmanager
def a_state_file() -> Iterator[Path]:
    """A place for the state of a sandbox that is killed and started again."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "pems.state"


@contextmanager
def answering(answer: Callable[[Request], Response]) -> Iterator[str]:
    """The address of a PEMS that says whatever the function says."""
    with HttpServer(answer) as server:
        yield f"http://127.0.0.1:{server.port}"
