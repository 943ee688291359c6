"""Conversion of databases from before the first release.

The eight migrations of that time made them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import LiteralString, cast

from psycopg import Connection

from pfa_core import sql
from pfa_core.errors import SchemaOutdated

# The checksums that such a database has recorded.
HISTORY: Mapping[int, str] = {
    1: "67ea29ed9f513648952ecbf88401cb643b7ca730d65a2a44a7fe43783a76611e",
    2: "4e26f5caa9c662bf04ad4dd0dce1b250d9e3bbd08f12426e0cc2f49484f84349",
    3: "b0f4ba2245a8397c9514bb791c775f01f5b56fb48e47258d2620ed2e92d8e70b",
    4: "02e4bbce23bca61b7841e35ec914c6b9d9fc30814598a75b35bdb56ddd3f5fc2",
    5: "9abc29e25b3e1bc66bb3ddbd297bd5c00d573452e253634770f2c362677fcce5",
    6: "235ac8bb86b451310c6dd81c14bed97389de95b8491c0afe7051c44ea00cc0fc",
    7: "50ae824c784082bbc11911b2b5a5a41dbe6f496efe26bed175988d1df444702e",
    8: "353f9a576b534df234ee38a7b8366cfaaaf0ad2a98f2a772d824cd6448b4de24",
}

_COMMENTS = r"(?:--.*\n|\n)*"
_BETWEEN_STATEMENTS = re.compile(
    rf"(?<=;)\n(?={_COMMENTS}(?:ALTER|CREATE|DO|GRANT|INSERT|REVOKE)\b)"
)
_LEADING_COMMENTS = re.compile(rf"\A{_COMMENTS}")
# What can be said of a database that has the tables already.
_REPEATABLE = ("CREATE FUNCTION ", "ALTER FUNCTION ", "DO ", "GRANT ", "REVOKE ")


def is_recorded(applied: Mapping[int, str]) -> bool:
    """Return whether the checksums by version are those of the eight migrations.

    Raises:
        SchemaOutdated: They are those of the first of them only.
    """
    if applied.get(1) != HISTORY[1]:
        return False
    if applied != HISTORY:
        raise SchemaOutdated(
            "the database has an incomplete or changed history of the migrations from before the first"
            f" release: {len(applied)} of {len(HISTORY)} recorded",
            hint="with the pfa that made the database, type: pfa db upgrade",
        )
    return True


def convert(conn: Connection, schema: LiteralString) -> None:
    """Convert the database to the schema, within the caller's transaction."""
    conn.execute(sql.prerelease())
    conn.execute(_repeatable(schema))


def _repeatable(schema: LiteralString) -> LiteralString:
    """Select the statements for functions, policies and grants, in their order."""
    statements = (_LEADING_COMMENTS.sub("", part) for part in _BETWEEN_STATEMENTS.split(schema))
    selected = (part for part in statements if part.startswith(_REPEATABLE))
    text = "\n".join(
        part.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1) for part in selected
    )
    # Parts of the literal schema, with one constant replaced.
    return cast("LiteralString", text)
