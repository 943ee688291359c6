"""The OS user that the embedded server runs as."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from pfa_core.errors import ConfigInvalid
from pfa_core.store.embedded.layout import data_directories


@dataclass(frozen=True, slots=True)
class Account:
    """An OS user that a server runs as.

    `switch`: it is another than the caller, who is root.
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
    chosen = _service_entry(owner)
    if chosen.pw_uid == 0:
        raise ConfigInvalid(
            "PostgreSQL does not run as root",
            hint=f"give {present[0]} to another user (chown -R)"
            if present
            else "name another user in PFA_EMBEDDED_USER",
        )
    return Account(chosen.pw_name, chosen.pw_uid, chosen.pw_gid, switch=True)


def _own_account(owner: int | None) -> Account:
    own = passwd_entry(os.geteuid())
    if owner is not None and owner != own.pw_uid:
        raise ConfigInvalid(
            f"the embedded server's data belong to another user (uid {owner})",
            hint="name a directory of your own in PFA_EMBEDDED_DIR",
        )
    return Account(own.pw_name, own.pw_uid, own.pw_gid, switch=False)


def _service_entry(owner: int | None) -> pwd.struct_passwd:
    if owner is not None:
        return passwd_entry(owner)
    named = os.environ.get("PFA_EMBEDDED_USER")
    for name in [named] if named else ["pfa", "nobody"]:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigInvalid(
        f"there is no OS user {named or 'pfa or nobody'} to run the embedded server",
        hint="useradd --system pfa",
    )


def passwd_entry(uid: int) -> pwd.struct_passwd:
    """Read the passwd entry of a user.

    Raises:
        ConfigInvalid: It is missing; PostgreSQL refuses such a user.
    """
    try:
        return pwd.getpwuid(uid)
    except KeyError as error:
        raise ConfigInvalid(
            f"user id {uid} has no passwd entry, which PostgreSQL's initdb requires",
            hint="add one, or name a server of your own in PFA_DATABASE_URL",
        ) from error
