"""Signing keys: their list, rotation, and the end of a compromised one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from psycopg import Connection

from pfa_core.access.tokens import keyring
from pfa_core.access.tokens.keyring import Keyring
from pfa_core.access.tokens.register import MAX_TTL, finish_rotation, register_keys
from pfa_core.config.settings import Settings
from pfa_core.errors import (
    ConfigInvalid,
    DatabaseUnavailable,
    IllegalTransition,
    InvalidRequest,
    NotFound,
)
from pfa_core.model.audit import Action
from pfa_core.model.ordering import KEYS, in_order
from pfa_core.model.principal import Principal
from pfa_core.model.query import require_limit
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, writes
from pfa_core.store import audit, signing_keys, tokens
from pfa_core.store.database import Database
from pfa_core.store.signing_keys import KeyRow

OVERLAP = timedelta(hours=8)


class KeyState(StrEnum):
    """The state of a key.

    SIGNING means that this installation signs with it, RETIRED that it was ended at once.
    """

    SIGNING = "signing"
    VERIFYING = "verifying"
    ENDED = "ended"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """A key without its secret. `here`: this installation's ring has it."""

    key_id: str
    state: KeyState
    here: bool
    created_at: datetime
    not_after: datetime | None
    retired_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A new signing key.

    The one before, `previous`, verifies until `overlap_until`; `ending_tokens` of the caller's
    organization were issued for longer than that.
    """

    key_id: str
    previous: str
    overlap_until: datetime
    ending_tokens: int
    key_file: str


_ORDERS: Mapping[str, Callable[[KeyInfo], Any]] = {
    "createdAt": lambda one: one.created_at,
    "keyId": lambda one: one.key_id,
    "state": lambda one: one.state,
    "notAfter": lambda one: one.not_after,
    "retiredAt": lambda one: one.retired_at,
}


def list_keys(
    db: Database,
    settings: Settings,
    principal: Principal,
    *,
    limit: int | None = None,
    sort: str | None = None,
) -> list[KeyInfo]:
    """List the keys that the database knows, the newest first.

    Registers the keys of this installation first.

    Args:
        limit: The maximum number; None for all.
        sort: Other keys than `-createdAt`, see `model.ordering.KEYS`.

    Raises:
        InvalidRequest: An invalid limit or sort key.
        PermissionDenied: The caller lacks the right to manage settings.
    """
    if limit is not None:
        require_limit(limit)
    keys = KEYS.parse(sort)
    return in_order(_list(db, principal, keyring.load(settings)), keys, _ORDERS)[:limit]


@writes(Operation.LIST_KEYS, as_owner=True)
def _list(tx: Tx, ring: Keyring) -> list[KeyInfo]:
    return _infos(tx, _register(tx, ring))


def rotate_keys(
    db: Database,
    settings: Settings,
    principal: Principal,
    *,
    overlap: timedelta = OVERLAP,
    dry_run: bool = False,
) -> Rotation:
    """Make a new signing key.

    Tokens of the key before stay valid until the overlap ends. The new key is put into the file behind the old
    one, then the database changes, then the order in the file: where the file cannot be written, nothing changes,
    and where the program is killed, what the database says holds and the next use of the keys completes the file;
    a repeated rotation takes that key up instead of making another one.

    Raises:
        ConfigInvalid: The key comes from PFA_JWT_SECRET, which only its owner can change.
        InvalidRequest: An invalid overlap.
        PermissionDenied: The caller lacks the right to manage settings.
    """
    if not timedelta(0) <= overlap <= MAX_TTL:
        raise InvalidRequest("an overlap is 0 to 366 days")
    if settings.jwt_secret:
        raise ConfigInvalid(
            "the signing key comes from PFA_JWT_SECRET: it is changed where that is set",
            hint="a new key on its first line, and on the second the instant until when the old key"
            " verifies, a blank and the old key; then type: pfa auth keys",
        )
    rotation = _rotate(db, principal, settings, overlap, dry_run=dry_run)
    if not dry_run:
        _change_file(db, settings, finish_rotation)
    return rotation


@writes(Operation.ROTATE_KEYS, as_owner=True)
def _rotate(
    tx: Tx,
    settings: Settings,
    overlap: timedelta,
    *,
    dry_run: bool,
) -> Rotation:
    signing_keys.lock(tx.conn)
    now, held = tx.now(), keyring.load(settings)
    # The ring's file has whole seconds.
    until = (now + overlap).replace(microsecond=0)
    begun = _begun(tx, held)
    if begun:
        return _taken_up(tx, settings, begun, until)
    ring = _register(tx, held)
    new = ring.rotated(keyring.new_secret(), until, now)
    before, after = ring.signing.key_id, new.signing.key_id
    _register(tx, new)
    rotation = _ending(tx, settings, before, after, until)
    if not dry_run:
        keyring.store(ring.followed_by(new.signing.secret))
    return rotation


def _begun(tx: Tx, ring: Keyring) -> tuple[KeyRow, KeyRow] | None:
    """Return the keys of a rotation that did not reach the file, the one before first."""
    known = {row.key_id: row for row in signing_keys.signing_keys(tx.conn)}
    before = known.get(ring.signing.key_id)
    after = known.get(ring.next.key_id) if ring.next else None
    return (before, after) if before and after else None


def _taken_up(
    tx: Tx, settings: Settings, begun: tuple[KeyRow, KeyRow], until: datetime
) -> Rotation:
    """Return a rotation that has begun; a shorter overlap ends the key before earlier."""
    before, after = begun
    if before.not_after is None or until < before.not_after:
        return _ending(tx, settings, before.key_id, after.key_id, until)
    return _rotation(tx, settings, before.key_id, after.key_id, before.not_after)


def _ending(tx: Tx, settings: Settings, before: str, after: str, until: datetime) -> Rotation:
    signing_keys.end(tx.conn, before, until)
    shown = {"key": after, "before": before, "until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
    tx.audit(Action.KEY_ROTATE, [audit.Entry(tx.new_id(), after=shown)])
    return _rotation(tx, settings, before, after, until)


def _rotation(tx: Tx, settings: Settings, before: str, after: str, until: datetime) -> Rotation:
    return Rotation(
        key_id=after,
        previous=before,
        overlap_until=until,
        ending_tokens=tokens.count_outliving(tx.conn, tx.organization_id, [before], until),
        key_file=str(settings.key_file),
    )


def retire_key(
    db: Database, settings: Settings, principal: Principal, key_id: str, *, dry_run: bool = False
) -> KeyInfo:
    """End a key at once, and with it every token that it signed; that is final.

    Raises:
        NotFound: There is no such key.
        IllegalTransition: It signs here: it has to be replaced by a new one first.
        PermissionDenied: The caller lacks the right to manage settings.
    """
    ring = keyring.load(settings)
    if ring.signing.key_id == key_id:
        raise IllegalTransition(
            f"the key {key_id} signs", hint="type: pfa auth keys rotate --overlap 0s"
        )
    retired = _retire(db, principal, ring, key_id, dry_run=dry_run)
    # After the database has ended it: the file alone would leave it good there.
    if ring.file and not dry_run:
        _change_file(db, settings, lambda _, ring, __: _drop(ring, key_id))
    return retired


def _drop(ring: Keyring, key_id: str) -> None:
    rest = ring.without(key_id)
    if rest != ring:
        keyring.store(rest)


def _change_file(
    db: Database,
    settings: Settings,
    change: Callable[[Connection[Any], Keyring, datetime], object],
) -> None:
    """Change the key file after the database, while no other rotation does."""
    changed = False

    def work(conn: Connection[Any]) -> None:
        nonlocal changed
        signing_keys.lock(conn)
        change(conn, keyring.load(settings), db.clock())
        changed = True

    with db.administration() as owner:
        try:
            owner.transact(work)
        except DatabaseUnavailable:
            # The transaction writes nothing: it holds the lock, and has done so.
            if not changed:
                raise


@writes(Operation.RETIRE_KEY, as_owner=True)
def _retire(tx: Tx, ring: Keyring, key_id: str, *, dry_run: bool) -> KeyInfo:
    ring = _register(tx, ring)
    if not signing_keys.retire(tx.conn, key_id, tx.now()):
        raise NotFound(f"key not found: {key_id!r}", hint="type: pfa auth keys")
    tx.audit(Action.KEY_RETIRE, [audit.Entry(tx.new_id(), after={"key": key_id})])
    return next(info for info in _infos(tx, ring.without(key_id)) if info.key_id == key_id)


def _register(tx: Tx, ring: Keyring) -> Keyring:
    return register_keys(tx.conn, tx.db, ring, tx.organization_id, tx.user_id)


def _infos(tx: Tx, ring: Keyring) -> list[KeyInfo]:
    here = {key.key_id for key in ring.keys}
    return [
        KeyInfo(
            key_id=row.key_id,
            state=_state(row, ring),
            here=row.key_id in here,
            created_at=row.created_at,
            not_after=row.not_after,
            retired_at=row.retired_at,
        )
        for row in signing_keys.signing_keys(tx.conn)
    ]


def _state(row: KeyRow, ring: Keyring) -> KeyState:
    if row.retired_at:
        return KeyState.RETIRED
    if row.ended:
        return KeyState.ENDED
    return KeyState.SIGNING if row.key_id == ring.signing.key_id else KeyState.VERIFYING
