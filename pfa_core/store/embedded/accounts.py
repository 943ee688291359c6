"""The OS user that the embedded server runs as."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pfa_core.errors import ConfigInvalid
from pfa_core.store.embedded.layout import data_directories


@dataclass(frozen=True, slots=True)
class Account:
    """An OS user that a server runs as.

    `name` is the uid where the user has no passwd entry, which only initdb needs; `switch`: it is another
    than the caller, who is root.
    """

    name: str
    uid: int
    gid: int
    switch: bool


def account(root: Path) -> Account:
    """Choose the user that the server of `root` runs as.

    The caller; for root, which PostgreSQL refuses, the owner of an existing data directory, else
    $PFA_EMBEDDED_USER, else the user `pfa`, else `nobody`. Never `postgres`: that may own a
    production server.

    Raises:
        ConfigInvalid: The user does not exist, is root, or does not own the data.
    """
    present = data_directories(root)
    owner = present[0].stat().st_uid if present else None
    if os.geteuid() != 0:
        return _own_account(owner)
    chosen = _service_account(owner, present)
    if chosen.uid == 0:
        raise ConfigInvalid(
            "PostgreSQL does not run as root",
            hint=f"give {present[0]} to another user (chown -R)"
            if present
            else "name another user in PFA_EMBEDDED_USER",
        )
    return chosen


def _own_account(owner: int | None) -> Account:
    own = os.geteuid()
    if owner is not None and owner != own:
        raise ConfigInvalid(
            f"the embedded server's data belong to another user (uid {owner})",
            hint="name a directory of your own in PFA_EMBEDDED_DIR",
        )
    return _account_of(own, os.getegid(), switch=False)


def _account_of(uid: int, gid: int, *, switch: bool) -> Account:
    """Make the account of a uid; `gid` is the group of one without a passwd entry."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, gid, switch=switch)
    return Account(entry.pw_name, uid, entry.pw_gid, switch=switch)


def _service_account(owner: int | None, present: Sequence[Path]) -> Account:
    if owner is not None:
        return _account_of(owner, present[0].stat().st_gid, switch=True)
    named = os.environ.get("PFA_EMBEDDED_USER")
    for name in [named] if named else ["pfa", "nobody"]:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)
    raise ConfigInvalid(
        f"there is no OS user {named or 'pfa or nobody'} to run the embedded server",
        hint="useradd --system pfa",
    )


def passwd_entry(uid: int, purpose: str) -> pwd.struct_passwd:
    """Read the passwd entry of a user.

    Args:
        purpose: A relative clause for the message: what needs the entry.

    Raises:
        ConfigInvalid: It is missing.
    """
    try:
        return pwd.getpwuid(uid)
    except KeyError as error:
        raise ConfigInvalid(
            f"user id {uid} has no passwd entry, {purpose}",
            hint="name a server of your own in PFA_DATABASE_URL, or add an entry to /etc/passwd",
        ) from error
