"""Signing keys: their list, rotation, and the end of a compromised one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pfa_core.access.tokens import keyring
from pfa_core.access.tokens.keyring import Keyring
from pfa_core.access.tokens.register import MAX_TTL, register_keys
from pfa_core.config.settings import Settings
from pfa_core.errors import (
    ConfigInvalid,
    IllegalTransition,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    PfaError,
)
from pfa_core.model.audit import Action
from pfa_core.model.principal import Principal
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


def list_keys(db: Database, settings: Settings, principal: Principal) -> list[KeyInfo]:
    """List the keys that the database knows, the newest first.

    Registers the keys of this installation first.

    Raises:
        PermissionDenied: The caller lacks the right to manage settings.
    """
    return _list(db, principal, keyring.load(settings))


@writes(Operation.LIST_KEYS, as_owner=True)
def _list(tx: Tx, ring: Keyring) -> list[KeyInfo]:
    _register(tx, ring)
    return _infos(tx, ring)


def rotate_keys(
    db: Database,
    settings: Settings,
    principal: Principal,
    *,
    overlap: timedelta = OVERLAP,
    dry_run: bool = False,
) -> Rotation:
    """Make a new signing key.

    Tokens of the key before stay valid until the overlap ends. Key file and database change together:
    where the file cannot be written, nothing changes.

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
    before_attempt: dict[str, Keyring] = {}
    try:
        return _rotate(db, principal, settings, overlap, before_attempt, dry_run=dry_run)
    except OutcomeUnknown:
        raise  # the new key may be registered
    except BaseException:
        _put_back(settings, before_attempt)
        raise


@writes(Operation.ROTATE_KEYS, as_owner=True)
def _rotate(
    tx: Tx,
    settings: Settings,
    overlap: timedelta,
    before_attempt: dict[str, Keyring],
    *,
    dry_run: bool,
) -> Rotation:
    """Rotate the ring.

    Args:
        before_attempt: By the signing key that an attempt put into the file, the ring it began with: where its
            transaction was rolled back, the next one begins with that ring again.
    """
    signing_keys.lock(tx.conn)
    ring = keyring.load(settings)
    ring = before_attempt.get(ring.signing.key_id, ring)
    _register(tx, ring)
    now = tx.now()
    # The ring's file has whole seconds.
    until = (now + overlap).replace(microsecond=0)
    # A fresh secret at each attempt: the one before may have been stored before its transaction broke.
    new = ring.rotated(keyring.new_secret(), until, now)
    before, after = ring.signing.key_id, new.signing.key_id
    count = tokens.count_outliving(tx.conn, tx.organization_id, [before], until)
    signing_keys.end(tx.conn, before, until)
    _register(tx, new)
    shown = {"key": after, "before": before, "until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
    tx.audit(Action.KEY_ROTATE, [audit.Entry(tx.new_id(), after=shown)])
    if not dry_run:
        before_attempt[after] = ring
        keyring.store(settings, new)
    return Rotation(
        key_id=after,
        previous=before,
        overlap_until=until,
        ending_tokens=count,
        key_file=str(settings.key_file),
    )


def _put_back(settings: Settings, before_attempt: Mapping[str, Keyring]) -> None:
    """Put back the ring that the last attempt began with.

    That is where its new key is in the file.
    """
    with suppress(PfaError):
        before = before_attempt.get(keyring.load(settings).signing.key_id)
        if before:
            keyring.store(settings, before)


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
    return _retire(db, principal, settings, ring, key_id, dry_run=dry_run)


@writes(Operation.RETIRE_KEY, as_owner=True)
def _retire(tx: Tx, settings: Settings, ring: Keyring, key_id: str, *, dry_run: bool) -> KeyInfo:
    _register(tx, ring)
    if not signing_keys.retire(tx.conn, key_id, tx.now()):
        raise NotFound(f"key not found: {key_id!r}", hint="type: pfa auth keys")
    tx.audit(Action.KEY_RETIRE, [audit.Entry(tx.new_id(), after={"key": key_id})])
    rest = ring.without(key_id)
    if rest != ring and not settings.jwt_secret and not dry_run:
        keyring.store(settings, rest)
    return next(info for info in _infos(tx, rest) if info.key_id == key_id)


def _register(tx: Tx, ring: Keyring) -> None:
    register_keys(tx.conn, tx.db, ring, tx.organization_id, tx.user_id)


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
