"""An organization that others use, in a database that is put back as it was after each attack."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier

import pfa_core
from pfa_core.model.principal import Principal
from tests.factories import (
    World,
    a_jsonl_file,
    a_principal,
    a_token,
    a_world,
    commit,
    draft,
    record,
)
from tests.pems_server import owned
from tests.server import bound_url

# Who attacks: a name, the member or service, the rights, and what is special about the token.
SERVICE_RIGHTS = ("read", "export", "view_financials", "sync", "import", "refresh_data")
CUSTOM = {
    "cus": ("read", "sync"),
    "dra": ("read", "save_draft"),
    "mem": ("read", "manage_users"),
    "set": ("read", "manage_settings"),
}
SCOPES = ("member", "read", "export", "save_draft", "commit", "sync", "import", "refresh_data",
          "manage_users", "manage_settings")  # fmt: skip


@dataclass(frozen=True)
class Attacker:
    """Who speaks as the application's role; `rights`: what token and membership both give here."""

    name: str
    user_id: str
    token: str
    organization: str
    rights: frozenset[str]


@dataclass
class Place:
    """The database under attack: its owner, the people who go on working, and those who attack."""

    url: str
    org: World
    foreign: World
    owner: Connection[Any]
    attackers: list[Attacker]
    folder: Path
    records: list[dict[str, Any]] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    columns: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def bound(self) -> str:
        return bound_url(self.url)

    def principal(self, user: str) -> Principal:
        return self.org.principal(user)

    def rows(self, statement: Any, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self.owner.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []

    def digests(self) -> dict[str, str]:
        """What each table holds."""
        content = "(SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {0} AS t)"
        columns = ", ".join(content.format(table) for table in self.tables)
        return dict(zip(self.tables, self.rows(f"SELECT {columns}")[0], strict=True))

    def content(self, table: str) -> set[str]:
        """The rows of a table as texts."""
        return {row[0] for row in self.rows(f"SELECT t::text FROM {table} AS t")}

    def save(self) -> None:
        """Keep the content of all tables, to be put back."""
        self.tables = [
            row[0]
            for row in self.rows(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                " ORDER BY 1"
            )
        ]
        self.rows("CREATE SCHEMA saved")
        # What an attacker who knows the program knows: which entries the trail asks for.
        self.rows(
            "CREATE FUNCTION saved.expected(organization text) RETURNS TABLE (kind text, id text)"
            " LANGUAGE sql SECURITY DEFINER SET search_path = public AS"
            " 'SELECT x.kind, i.id::text FROM audit_expected AS x LEFT JOIN unnest(x.modification_ids) AS i (id)"
            " ON true WHERE x.organization_id = $1 AND x.link_id = pfa_link_id($1)'"
        )
        self.rows("GRANT USAGE ON SCHEMA saved TO PUBLIC")
        for table in self.tables:
            self.columns[table] = [
                (name, kind)
                for name, kind in self.rows(
                    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                    " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
                    " ORDER BY attnum",
                    f"public.{table}",
                )
            ]
            self.rows(f"CREATE TABLE saved.{table} AS TABLE public.{table}")

    def restore_all(self) -> None:
        """Put back whatever differs from what was kept."""
        content = "(SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {0}.{1} AS t)"
        differs = ", ".join(
            f"{content.format('public', table)} IS DISTINCT FROM {content.format('saved', table)}"
            for table in self.tables
        )
        found = zip(self.tables, self.rows(f"SELECT {differs}")[0], strict=True)
        self.restore([table for table, differs in found if differs])

    def restore(self, changed: list[str]) -> None:
        """Put the content of these tables back."""
        with self.owner.transaction():
            self.owner.execute("SET LOCAL session_replication_role = replica")
            for table in changed:
                names = SQL(", ").join(Identifier(name) for name, _ in self.columns[table])
                self.owner.execute(SQL("DELETE FROM {}").format(Identifier(table)))
                self.owner.execute(
                    SQL("INSERT INTO {0} ({1}) SELECT {1} FROM saved.{0}").format(
                        Identifier(table), names
                    )
                )


@contextmanager
def a_place(url: str) -> Iterator[Place]:
    """An organization with records, drafts, changes, a conflict, runs, tokens and a trail."""
    users = {"ann": "admin", "ben": "editor", "eli": "editor", "vic": "viewer"}
    records = owned(record(f"P-{number}", monthlyRate=100 + number) for number in range(1, 9))
    org = a_world(url, *records, users=users)
    foreign = a_world(url, record("F-1"), organization="FOREIGN", users={"eve": "admin"})
    for name, rights in CUSTOM.items():
        org.add_user(name, "editor", rights=rights)
    services = {f"service:{right}": right for right in SERVICE_RIGHTS}
    for name, right in services.items():
        org.owner.transact(lambda conn, n=name, r=right: _member(conn, n, [r]))
    for user in ("ann", "ben", "eli"):
        draft(org.db, org.principal(user), "P-1", session="drafts", model=f"of {user}")
        draft(org.db, org.principal(user), "P-2", session="out", model=f"out {user}")
        commit(org.db, org.principal(user), session="out")
        draft(org.db, org.principal(user), "P-3", session="gone", model=f"gone {user}")
        pfa_core.discard(org.db, org.principal(user), pfa_core.Selection(session_id="gone"))
    for user, name, shared in (
        ("ann", "own", False),
        ("ben", "own", False),
        ("ben", "common", True),
    ):
        view = pfa_core.View(name=name, filters=pfa_core.Filters(search=f"of {user}"))
        pfa_core.save_view(org.db, org.principal(user), view, shared=shared)
    with (
        psycopg.connect(url, autocommit=True) as owner,
        tempfile.TemporaryDirectory() as folder,
    ):
        owner.execute(_CONFLICT)
        _tokens(owner)
        place = Place(url, org, foreign, owner, [], Path(folder), records)
        place.attackers = _attackers(place, services)
        changed = {**records[0], "monthlyRate": 999, "model": "from PEMS"}
        a_jsonl_file(place.folder, [*records[1:], changed])
        place.save()
        yield place
        org.db.close()
        foreign.db.close()


# ben's change of P-2 is in conflict, as a push leaves one.
_CONFLICT = """
    WITH disputed AS (
        UPDATE pfa_modification SET state = 'conflict'
        WHERE organization_id = 'ORG' AND user_id = 'ben' AND state = 'committed'
        RETURNING organization_id, modification_id, pfa_id, user_id
    )
    INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id, user_id, fields, status,
                                   created_at)
    SELECT d.organization_id, gen_random_uuid(), d.modification_id, d.pfa_id, d.user_id,
           jsonb_build_array(jsonb_build_object(
               'field', 'model', 'base', 'before', 'mine', 'out ben', 'theirs', m.data -> 'model')),
           'unresolved', now()
    FROM disputed AS d JOIN pfa_mirror AS m USING (organization_id, pfa_id)"""


def _tokens(owner: Connection[Any]) -> None:
    for user, role in (("ann", "admin"), ("ben", "editor"), ("vic", "viewer")):
        owner.execute(
            "INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed,"
            " organizations, key_id, issued_at, issued_by, expires_at)"
            " VALUES ('ORG', 'kept ' || %s, %s, 'user', %s, '{read}', false, '{ORG}', 'k', now() - interval '1 h',"
            " 'ann', now() + interval '1 day')",
            [user, user, role],
        )
    owner.execute(
        "INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed, organizations,"
        " key_id, issued_at, issued_by, expires_at, revoked_at, revoked_by)"
        " VALUES ('ORG', 'revoked', 'vic', 'user', 'viewer', '{read}', false, '{ORG}', 'k', now(), 'ann',"
        " now() + interval '1 day', now(), 'ann')"
    )


def _member(conn: Connection[Any], user_id: str, rights: list[str]) -> None:
    conn.execute(
        "INSERT INTO pfa_member (organization_id, user_id, role, rights, granted_by, granted_at)"
        " VALUES ('ORG', %s, 'service', %s, 'ann', now())",
        [user_id, rights],
    )


def _attackers(place: Place, services: Mapping[str, str]) -> list[Attacker]:
    found = [Attacker("no token", "", "", "ORG", frozenset())]

    def add(
        name: str, who: Principal, organization: str = "ORG", *, good: bool = True, **token: Any
    ) -> None:
        rights = frozenset(map(str, who.rights)) if good else frozenset()
        role = "service" if who.is_service else "viewer"
        text = a_token(who, role=role, **token)
        found.append(Attacker(name, who.user_id, text, organization, rights))

    add("viewer", place.principal("vic"))
    add("editor", place.principal("eli"))
    add("administrator", replace(place.principal("ann"), user_id="adm"))
    place.org.add_user("adm", "admin")
    for user, rights in CUSTOM.items():
        add(f"custom {user}", a_principal(user, "ORG", "editor", rights=rights))
    for user, right in services.items():
        add(user, a_principal(user, "ORG", "editor", rights=[right]))
    add("expired", place.principal("eli"), good=False, ttl=timedelta(seconds=-5))
    add("revoked", place.principal("vic"), good=False, token_id="revoked")
    add("of another organization", place.foreign.principal("eve"), good=False)
    return found
