"""Login roles on a server of one's own."""

from __future__ import annotations

import re

from pfa_core.admin.database import open_database
from pfa_core.config.settings import Settings
from pfa_core.errors import ConfigInvalid, InvalidRequest
from pfa_core.model.secret import Secret
from pfa_core.store import login_roles
from pfa_core.store.rls import APP_ROLE

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,62}")


def login_role_statement(name: str) -> str:
    """Write the SQL that creates a login role, for an administrator to run.

    Raises:
        InvalidRequest: An invalid name.
    """
    _require_name(name)
    return login_roles.statement(name)


def add_login_role(
    settings: Settings, name: str, *, password: Secret | None = None, dry_run: bool = False
) -> None:
    """Create a login role for one person or job; policies apply to it.

    Two persons with one role could end each other's sessions and change its settings.

    Args:
        password: None: the role logs in without one, by a certificate or the socket's user.

    Raises:
        InvalidRequest: An invalid name.
        IllegalTransition: There is such a role.
        ConfigInvalid: The address's role may not create roles, or the server is the embedded one.
    """
    _require_name(name)
    if settings.database_url is None:
        raise ConfigInvalid(
            "the embedded server has no login roles: it is reached by its own socket alone",
            hint=f"on a server of your own type: pfa db role add {name} --database-url ADDRESS",
        )
    secret = password.reveal() if password else None
    with open_database(settings) as db:
        db.transact(lambda conn: login_roles.create(conn, name, secret), dry_run=dry_run)


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == APP_ROLE or name.startswith("pg_"):
        raise InvalidRequest(
            f"invalid name of a role: {name!r}",
            hint="small letters, digits, _ and -, at most 63, the first a letter or _",
        )
