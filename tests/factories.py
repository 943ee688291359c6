"""Rows and worlds for tests: each takes only what the test is about, the rest has defaults.

world = a_world(database_url, record("P-1", monthlyRate=500), record("P-2"))
ann = world.principal("ann")
draft(world.db, ann, "P-1", monthlyRate=600)
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection

import pfa_core
from pfa_core import exact_json
from pfa_core.access.tokens import jwt, keyring
from pfa_core.drafts.commit import CommitResult
from pfa_core.drafts.save_plan import Saved
from pfa_core.model.delta import Change
from pfa_core.model.principal import RIGHTS_OF, Principal, Right, Role
from pfa_core.model.run import IfLocked
from pfa_core.model.secret import Secret
from pfa_core.store import members, signing_keys
from pfa_core.store.database import Database
from pfa_core.sync.pull.files import PullResult
from tests.server import bound_url

SECRET = "the key that signs the tokens of the tests"


def record(pfa_id: str = "P-1", **fields: Any) -> dict[str, Any]:
    """A whole baseline record as PEMS gives it: a rental of 1,000 a month in all of December 2025.

    `record("P-1", category="Crane", monthlyRate=None)`; a field called `class` is given as
    `class_` or by `**{"class": …}`.
    """
    if "class_" in fields:
        fields["class"] = fields.pop("class_")
    unknown = fields.keys() - _DEFAULTS.keys() - {"pfaId", "rateUom", "currency"}
    assert not unknown, f"no fields of a record: {sorted(unknown)}"
    return {"pfaId": pfa_id, **_DEFAULTS, **fields}


_DEFAULTS: Mapping[str, Any] = {
    "description": "Crane for the north area",
    "areaSilo": "Silo 4",
    "category": "Crane",
    "forecastCategory": "04150 CRANE",
    "class": "Lifting",
    "source": "Rental",
    "dor": "PROJECT",
    "isActualized": False,
    "isDiscontinued": False,
    "isFundsTransferable": False,
    "monthlyRate": 1000,
    "purchasePrice": None,
    "manufacturer": "Liebherr",
    "model": "LTM 1030",
    "contract": "C-1",
    "equipment": None,
    "originalStart": "2025-12-01",
    "originalEnd": "2025-12-31",
    "forecastStart": "2025-12-01",
    "forecastEnd": "2025-12-31",
    "actualStart": None,
    "actualEnd": None,
    "pemsVersion": "2025-11-01T00:00:00Z",
}


def a_principal(
    user_id: str = "ann",
    organization: str = "ORG",
    role: str = "admin",
    *,
    rights: Iterable[str] | None = None,
) -> Principal:
    """A principal with the rights of the role's template, or with exactly these rights."""
    wanted = RIGHTS_OF[Role(role)] if rights is None else frozenset(map(Right, rights))
    principal = Principal(
        user_id=user_id, organization_id=organization, rights=wanted, token_id=f"token of {user_id}"
    )
    return (
        replace(principal, token=Secret(a_token(principal, role=role))) if is_bound() else principal
    )


def is_bound() -> bool:
    """Whether row-level security applies to worlds: their handle is that of a role with policies, their
    principals carry tokens. $PFA_TEST_BOUND says so."""
    return bool(os.environ.get("PFA_TEST_BOUND"))


def a_token(
    *principals: Principal,
    role: str = "admin",
    secret: str = SECRET,
    ttl: timedelta = timedelta(days=1),
    token_id: str | None = None,
) -> str:
    """A token for a user, for the organization of each of these principals with its rights."""
    first = principals[0]
    now = datetime.now(UTC).replace(microsecond=0)
    claims = jwt.Claims(
        user_id=first.user_id,
        token_id=token_id or first.token_id,
        issued_at=min(now, now + ttl) - timedelta(hours=1),
        expires_at=now + ttl,
        organizations={
            one.organization_id: jwt.Grant(Role(role), one.rights) for one in principals
        },
    )
    return jwt.sign(claims, keyring.Keyring((keyring.SigningKey(Secret(secret)),)))


def know_the_key(conn: Connection[Any], secret: str = SECRET) -> None:
    """Let the database know the key that signs the tests' tokens."""
    key = keyring.SigningKey(Secret(secret))
    new = signing_keys.NewKey(key.key_id, key.secret.reveal(), None)
    signing_keys.register(conn, [new], datetime.now(UTC))


class SelfClosing(Database):
    """A handle whose connection is closed when the last reference to the handle goes."""

    def connection(self) -> Connection[Any]:
        before, now = self._connection, super().connection()
        if now is not before:
            weakref.finalize(self, now.close)
        return now


@dataclass
class World:
    """A migrated database with an organization, members and a mirror. `db` closes itself."""

    db: Database
    organization: str
    users: dict[str, str] = field(default_factory=dict)
    as_owner: Database | None = None

    @property
    def owner(self) -> Database:
        """The handle of the tables' owner: `db` itself, where row-level security does not apply to it."""
        return self.as_owner or self.db

    @property
    def url(self) -> str:
        """The address of the database for its owner."""
        return str(self.owner.conninfo)

    def at(self, url: str) -> World:
        """This world through handles on a copy of its database, whose owner's address this is."""
        owner = SelfClosing(url)
        bound = self.as_owner is not None and self.as_owner is not self.db
        db = SelfClosing(bound_url(url)) if bound else owner
        return World(db, self.organization, dict(self.users), as_owner=owner)

    def close(self) -> None:
        """Give its connections back."""
        self.db.close()
        self.owner.close()

    def principal(self, user_id: str = "ann") -> Principal:
        """The principal of a user of this world, with the rights of the user's role."""
        return a_principal(user_id, self.organization, self.users[user_id])

    def add_user(
        self, user_id: str, role: str = "editor", *, rights: Iterable[str] | None = None
    ) -> Principal:
        """Make the user a member, with the rights of the role or exactly these; its principal."""
        principal = a_principal(user_id, self.organization, role, rights=rights)
        self.users[user_id] = role
        self.owner.transact(
            lambda conn: members.put_member(
                conn,
                self.organization,
                user_id,
                role=role,
                rights=principal.rights,
                granted_by="the test",
                at=self.db.clock(),
            )
        )
        return principal

    def pull(
        self,
        records: Iterable[Mapping[str, Any]],
        user_id: str | None = None,
        *,
        allow_emptied: Collection[str] = (),
    ) -> PullResult:
        """Pull the records through a JSONL file, as the first admin unless another user is named;
        pulls at once take turns."""
        who = user_id or next(name for name, role in self.users.items() if role == "admin")
        with tempfile.TemporaryDirectory() as folder:
            path = a_jsonl_file(Path(folder), records)
            return pfa_core.pull_files(
                self.db,
                self.principal(who),
                [str(path)],
                if_locked=IfLocked.WAIT,
                allow_emptied=allow_emptied,
            )

    def mirror(self) -> dict[str, dict[str, Any]]:
        """The mirror's records by id, as they are now."""
        return self._data(
            "SELECT pfa_id, data FROM pfa_mirror WHERE organization_id = %s", self.organization
        )

    def merged(self, user_id: str = "ann") -> dict[str, dict[str, Any]]:
        """What the user's overlay holds for the records they touched, by id."""
        return self._data(
            "SELECT pfa_id, data FROM pfa_overlay WHERE organization_id = %s AND user_id = %s",
            self.organization,
            user_id,
        )

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Whatever a statement reads, in a snapshot of its own."""
        return self.owner.read(lambda conn: conn.execute(statement, values).fetchall())

    def execute(self, statement: str, *values: Any) -> int:
        """Run a statement that writes; how many rows it touched. For states no operation makes yet."""
        return self.owner.transact(lambda conn: conn.execute(statement, values).rowcount)

    def _data(self, statement: str, *values: Any) -> dict[str, dict[str, Any]]:
        return dict(self.rows(statement, *values))


def a_world(
    database_url: str,
    *records: Mapping[str, Any],
    organization: str = "ORG",
    users: Mapping[str, str] | None = None,
    login: str | None = None,
) -> World:
    """An organization with these members (user → role; `ann` the admin by default) and records.

    Called again with the same address and another organization it makes a second tenant beside
    the first. Nothing has to be torn down. `login`: the address of who may make the role of a world
    to which row-level security applies, where the owner may not.
    """
    owner = SelfClosing(database_url)
    owner.transact(lambda conn: members.add_organization(conn, organization, "", owner.clock()))
    db = owner
    if is_bound():
        owner.transact(know_the_key)
        db = SelfClosing(bound_url(login or database_url))
    world = World(db, organization, as_owner=owner)
    for user_id, role in (users or {"ann": "admin"}).items():
        world.add_user(user_id, role)
    if records:
        world.pull(records)
    return world


def draft(
    db: Database,
    principal: Principal,
    pfa_id: str = "P-1",
    *,
    session: str | None = "s",
    reason: str | None = None,
    **delta: Any,
) -> Saved:
    """Save one draft; the field `class` is given as `class_`. What `save` says of it."""
    if "class_" in delta:
        delta["class"] = delta.pop("class_")
    change = Change(pfa_id, delta, reason)
    return pfa_core.save(db, principal, [change], session_id=session).saved[0]


def commit(db: Database, principal: Principal, *, session: str = "s") -> CommitResult:
    """Commit the session's drafts."""
    return pfa_core.commit(db, principal, pfa_core.Selection(session_id=session))


def a_jsonl_file(
    folder: Path, records: Iterable[Mapping[str, Any]], name: str = "baseline.jsonl"
) -> Path:
    """A baseline file with one record a line."""
    path = folder / name
    path.write_text("".join(exact_json.dumps(dict(item)) + "\n" for item in records), "utf-8")
    return path


def a_delta_file(folder: Path, content: Any, name: str = "delta.json") -> Path:
    """A delta file: the content as JSON, or as it is when it is text or bytes."""
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else exact_json.dumps(content), "utf-8")
    return path
