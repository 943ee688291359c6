"""The signing keys: which are in force, a new one, and the end of one that got into wrong hands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from pfa_core.access.tokens import keyring
from pfa_core.access.tokens.keyring import Keyring
from pfa_core.access.tokens.register import MAX_TTL, meet
from pfa_core.authorization import authorize
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, IllegalTransition, InvalidRequest, NotFound
from pfa_core.model.audit import Action
from pfa_core.model.principal import Principal
from pfa_core.model.rights import Operation
from pfa_core.store import audit, signing_keys
from pfa_core.store import tokens as register
from pfa_core.store.database import Database

OVERLAP = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key without its secret. `state`: signing (here), verifying, ended or retired; `here`: whether
    this installation's ring has it."""

    key_id: str
    state: str
    here: bool
    created_at: datetime
    not_after: datetime | None
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new signing key. The one before, `previous`, verifies until `overlap_until`; `ending_tokens` of
    the principal's organization were issued for longer than that."""

    key_id: str
    previous: str
    overlap_until: datetime
    ending_tokens: int
    key_file: str


def list_keys(db: Database, settings: Settings, principal: Principal) -> list[KeyInfo]:
    """The keys that the database knows, the newest first; those of this installation are made known.

    Raises:
        PermissionDenied: The principal lacks the right to manage settings.
    """
    ring = keyring.load(settings)

    def work(conn: Connection[Any]) -> list[KeyInfo]:
        authorize(conn, principal, Operation.LIST_KEYS)
        meet(conn, db, ring, principal.organization_id, principal.user_id)
        return _infos(conn, ring)

    with db.administration() as own:
        return own.transact(work)


def rotate_keys(
    db: Database,
    settings: Settings,
    principal: Principal,
    *,
    overlap: timedelta = OVERLAP,
    dry_run: bool = False,
) -> Rotation:
    """Make a new signing key; tokens of the one before stay good until the overlap ends.

    Key file and database change together: where the file cannot be written, nothing changes.

    Raises:
        ConfigInvalid: The key comes from PFA_JWT_SECRET, which only its owner can change.
        InvalidRequest: No such overlap.
        PermissionDenied: The principal lacks the right to manage settings.
    """
    if not timedelta(0) <= overlap <= MAX_TTL:
        raise InvalidRequest("an overlap is nothing up to 366 days")
    if settings.jwt_secret:
        raise ConfigInvalid(
            "the signing key comes from PFA_JWT_SECRET: it is changed where that is set",
            hint="a new key on its first line, and on the second the instant until when the old key"
            " verifies, a blank and the old key; then type: pfa auth keys",
        )

    def work(conn: Connection[Any]) -> Rotation:
        authorize(conn, principal, Operation.ROTATE_KEYS)
        signing_keys.lock(conn)
        ring = keyring.load(settings)
        meet(conn, db, ring, principal.organization_id, principal.user_id)
        now = db.clock()
        # The ring's file has whole seconds.
        until = (now + overlap).replace(microsecond=0)
        # Another one at each attempt: the one before may have stored its key and then broken.
        new = ring.rotated(keyring.new_secret(), until, now)
        before, after = ring.signing.key_id, new.signing.key_id
        count = register.count_outliving(conn, principal.organization_id, [before], until)
        signing_keys.end(conn, before, until)
        meet(conn, db, new, principal.organization_id, principal.user_id)
        shown = {"key": after, "before": before, "until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        _audit(conn, db, principal, Action.KEY_ROTATE, shown)
        if not dry_run:
            keyring.store(settings, new)
        return Rotation(after, before, until, count, str(settings.key_file))

    with db.administration() as own:
        return own.transact(work, dry_run=dry_run)


def retire_key(
    db: Database, settings: Settings, principal: Principal, key_id: str, *, dry_run: bool = False
) -> KeyInfo:
    """End a key at once, and with it every token that it signed; it never comes back.

    Raises:
        NotFound: There is no such key.
        IllegalTransition: It signs here: a new one has to take its place first.
        PermissionDenied: The principal lacks the right to manage settings.
    """
    ring = keyring.load(settings)
    if ring.signing.key_id == key_id:
        raise IllegalTransition(
            f"the key {key_id} signs", hint="type: pfa auth keys rotate --overlap 0s"
        )

    def work(conn: Connection[Any]) -> KeyInfo:
        authorize(conn, principal, Operation.RETIRE_KEY)
        meet(conn, db, ring, principal.organization_id, principal.user_id)
        if not signing_keys.retire(conn, key_id, db.clock()):
            raise NotFound(f"there is no key {key_id!r}", hint="type: pfa auth keys")
        _audit(conn, db, principal, Action.KEY_RETIRE, {"key": key_id})
        rest = ring.without(key_id)
        if rest != ring and not settings.jwt_secret and not dry_run:
            keyring.store(settings, rest)
        return next(info for info in _infos(conn, rest) if info.key_id == key_id)

    with db.administration() as own:
        return own.transact(work, dry_run=dry_run)


def _infos(conn: Connection[Any], ring: Keyring) -> list[KeyInfo]:
    here = {key.key_id for key in ring.keys}
    found = []
    for row in signing_keys.signing_keys(conn):
        state = "retired" if row.retired_at else "ended" if row.ended else "verifying"
        if row.key_id == ring.signing.key_id and state == "verifying":
            state = "signing"
        info = KeyInfo(
            row.key_id, state, row.key_id in here, row.created_at, row.not_after, row.retired_at
        )
        found.append(info)
    return found


def _audit(
    conn: Connection[Any], db: Database, principal: Principal, action: Action, shown: dict[str, str]
) -> None:
    entry = audit.Entry(str(db.new_id()), after=shown)
    audit.write(conn, principal.organization_id, principal.user_id, action, db.clock(), [entry])
