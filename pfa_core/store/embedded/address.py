"""Addresses of the embedded server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from pfa_core.errors import ConfigInvalid
from pfa_core.store.embedded import layout
from pfa_core.store.embedded.accounts import account, passwd_entry

DIRECTORY_VARIABLES = ("PFA_EMBEDDED_DIR", "XDG_DATA_HOME")


def default_root(environ: Mapping[str, str]) -> Path:
    """Return the embedded server's root where no setting names one.

    $PFA_EMBEDDED_DIR; for root /var/lib/pfa; else $XDG_DATA_HOME/pfa or ~/.local/share/pfa. The
    home is the passwd file's: cron and a login must find the same server.

    Raises:
        ConfigInvalid: PFA_EMBEDDED_DIR is relative, this user has no passwd entry, or the path is not UTF-8.
    """
    root = _default_root(environ)
    try:
        str(root).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(root).decode("utf-8", "backslashreplace")
        raise ConfigInvalid(
            f"the embedded server's directory {shown} is not UTF-8",
            hint="name another one in PFA_EMBEDDED_DIR",
        ) from None
    return root


def _default_root(environ: Mapping[str, str]) -> Path:
    named = environ.get("PFA_EMBEDDED_DIR")
    if named:
        if not Path(named).is_absolute():
            raise ConfigInvalid(
                f"PFA_EMBEDDED_DIR is not an absolute path: {named}",
                hint="a relative one would be another database in every working directory",
            )
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/pfa")
    xdg = Path(environ.get("XDG_DATA_HOME", ""))
    if xdg.is_absolute():
        return xdg / "pfa"
    entry = passwd_entry(os.geteuid(), "in which the embedded server's directory would be found")
    return Path(entry.pw_dir) / ".local" / "share" / "pfa"


def conninfo(root: Path, dbname: str = "pfa", *, user: str = "pfa") -> str:
    """Return the connection string of the server of `root`, without starting it.

    It sets the parameters by which the caller's PG* variables would lead to another server most often;
    `environment.hidden` keeps out all of them.
    """
    words = _address(root) | {
        "dbname": dbname,
        "user": user,
        "hostaddr": "",
        "options": "",
        "sslmode": "disable",
        "gssencmode": "disable",
        "channel_binding": "prefer",
        "target_session_attrs": "any",
        "client_encoding": "UTF8",
        "connect_timeout": "10",
    }
    return " ".join(f"{word}={_quoted(value)}" for word, value in words.items())


def url(root: Path) -> str:
    """Return the URL of the database, for psql or another tool."""
    words = _address(root)
    user = words.pop("user")
    query = "&".join(f"{word}={quote(os.fsencode(value), '')}" for word, value in words.items())
    return f"postgresql://{user}@/pfa?{query}"


def _address(root: Path) -> dict[str, str]:
    place = layout.place(root)
    words = {"host": str(place.sockets), "port": "5432", "user": "pfa"}
    if place.sockets.parent != place.root:
        # In /tmp any user could listen under that name.
        words["requirepeer"] = account(place.root).name
    return words


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
