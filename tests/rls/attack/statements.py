"""Statements of the application's role, drawn at random from what the catalog shows."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal
from psycopg.types.json import Jsonb

from pfa_core import sql
from tests.rls.attack.fitting import CHAINS, Fitting
from tests.rls.attack.place import SCOPES, Attacker, Place

DEEP = "[" * 5000 + "]" * 5000
TIMES = ["infinity", "-infinity", "20000-01-01", "0044-03-15 BC", "9000-01-01", "2099-01-01", "1970-01-01",
         "2026-01-01", None]  # fmt: skip
TEXTS = ["", "x", "root", "ann", "ben", "P-1", "NOPE-1", "draft", "committed", "syncing", "synced", "sync_error",
         "conflict", "resolved", "completed", "running", "pull", "push", "admin", "service", "permission_denied",
         "grant", "save", "ORG", "FOREIGN", "5" * 5000, "a" * 100_000, "\x01", "'; DROP", None]  # fmt: skip
NUMBERS = [0, 1, -5, 7, 2147483647, -2147483648, None]
DOCUMENTS = [
    "null", "5", '"text"', "[]", "{}", "[1,2]", '{"model": "BENT"}', '{"monthlyRate": "abc"}', '{"source": "Zzz"}',
    '{"isActualized": "maybe"}', '{"forecastStart": "x"}', '{"forecastStart": "2026-02-31"}',
    '{"monthlyRate": "NaN"}', '{"monthlyRate": 1e131000}', '{"a": ' + "9" * 5000 + "}", '{"unknown": 1}',
    '{"model": ' + DEEP + "}", DEEP, '[{"field": 5}]', '{"model": "' + "m" * 50_000 + '"}', None,
]  # fmt: skip
OPERATIONS = ("insert", "update", "delete", "lock table", "lock rows", "call", "other")


@dataclass
class Attack:
    """A transaction of an attacker: the scope it is authorized for, and its statements with their kinds.

    `completes`: the entries that the trail asks for follow, and their link.
    """

    attacker: Attacker
    scope: str
    statements: list[tuple[str, Composable]] = field(default_factory=list)
    completes: bool = False

    def __str__(self) -> str:
        said = "; ".join(one.as_string()[:300] for _, one in self.statements)
        return f"{self.attacker.name} in {self.scope}: {said}"


@dataclass(frozen=True)
class Function:
    """A function that the role may call, with its arguments' names and types."""

    name: str
    arguments: tuple[tuple[str, str], ...]


class Generator:
    """Draws attacks; the same seed draws the same."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.random = place, random.Random(seed)
        self.functions = _functions(place)
        self.named = {
            one.name.removeprefix("pfa_do_").removeprefix("pfa_"): one for one in self.functions
        }
        self.fitting = Fitting(place, self.random)
        self.rows = {table: _rows(place, table) for table in place.tables}
        self.ids = {
            name: [str(row[0]) for row in place.rows(f"SELECT DISTINCT {name} FROM {table}")]
            for table, name in (
                ("pfa_modification", "modification_id"),
                ("pfa_sync_conflict", "conflict_id"),
                ("pfa_sync_log", "run_id"),
                ("pfa_token", "token_id"),
                ("audit_link", "link_id"),
            )
        }

    def attack(self) -> Attack:
        """Draw a transaction: one to three statements of any kind, or calls that belong together."""
        attacker = self.random.choice(self.place.attackers)
        chain: tuple[str, ...] = ()
        if self.random.random() < 0.5:
            chain = self.random.choice(list(CHAINS))
            scope = self.random.choice(CHAINS[chain])
            holders = [one for one in self.place.attackers if _may(one, scope)]
            attacker = self.random.choice(holders) if self.random.random() < 0.9 else attacker
        else:
            scopes = [one for one in SCOPES if _may(attacker, one)]
            able = scopes if scopes and self.random.random() < 0.8 else list(SCOPES)
            scope = self.random.choice(able)
        self.fitting.begin(attacker, scope)
        drawn = Attack(attacker, scope, completes=self.random.random() < 0.8)
        # Half of the chains are bent in one place: a value, a call that is left out, or one that comes twice.
        bent = self.random.randrange(2 * len(chain)) if chain else 0
        for place, name in enumerate(chain):
            times = self.random.choice((1, 1, 0, 2)) if place == bent else 1
            for _ in range(times):
                drawn.statements.append(self._link_of(name, attacker, bent=place == bent))
        for _ in range(0 if chain else self.random.choice((1, 1, 1, 2, 3))):
            drawn.statements.append(self._statement(attacker))
        return drawn

    def _link_of(self, name: str, attacker: Attacker, *, bent: bool) -> tuple[str, Composable]:
        if name == "incoming":
            pfa_id, data = self.fitting.incoming()
            insert = SQL("INSERT INTO pfa_incoming (pfa_id, data, revision) VALUES ({}, {}, '2')")
            return "incoming", insert.format(Literal(pfa_id), Literal(data))
        function = self.named[name]
        which = (
            self.random.randrange(len(function.arguments)) if bent and function.arguments else -1
        )
        values = [
            self._bent(self.fitting.value(_plain(arg), kind), arg, kind, attacker)
            if place == which
            else self.fitting.value(_plain(arg), kind)
            for place, (arg, kind) in enumerate(function.arguments)
        ]
        return f"call {function.name}", _called(function, values)

    def _bent(self, value: Any, name: str, kind: str, attacker: Attacker) -> Any:
        if isinstance(value, Jsonb) and isinstance(value.obj, list) and self.random.random() < 0.8:
            row = dict(value.obj[0])
            field = self.random.choice(sorted(row))
            row[field] = self.random.choice(
                [*NUMBERS, *TEXTS, {}, [], {"model": "BENT"}, {"unknown": 1}, [{"field": 5}], True]
            )
            return Jsonb([row])
        return self.value(name, kind, attacker)

    def _statement(self, attacker: Attacker) -> tuple[str, Composable]:
        kind = self.random.choices(OPERATIONS, weights=(4, 4, 1, 1, 1, 8, 1))[0]
        table = self.random.choice(self.place.tables)
        if kind == "call":
            function = self.random.choice(self.functions)
            return f"call {function.name}", self._call(function, attacker)
        if kind == "other":
            return "other", self.random.choice(_OTHERS)(self, attacker)
        make: dict[str, Callable[[str, Attacker], Composable]] = {
            "insert": self._insert,
            "update": self._update,
            "delete": self._delete,
            "lock table": lambda name, _: SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(
                Identifier(name)
            ),
            "lock rows": lambda name, _: SQL("SELECT 1 FROM {} FOR UPDATE").format(
                Identifier(name)
            ),
        }
        return f"{kind} {table}", make[kind](table, attacker)

    def _insert(self, table: str, attacker: Attacker) -> Composable:
        """A row that is there, under new ids and mostly the attacker's name, with one or two values bent."""
        columns = self.place.columns[table]
        known = self.rows[table]
        row = dict(self.random.choice(known)) if known else {name: None for name, _ in columns}
        for name, kind in columns:
            if kind == "uuid":
                row[name] = str(uuid.UUID(int=self.random.getrandbits(128)))
            elif name == "token_id":
                row[name] = f"made {self.random.random()}"
            elif name == "user_id" and self.random.random() < 0.8:
                row[name] = attacker.user_id
        for name, kind in self.random.sample(
            columns, k=min(len(columns), self.random.choice((0, 1, 2)))
        ):
            row[name] = self.value(name, kind, attacker)
        names = SQL(", ").join(Identifier(name) for name, _ in columns)
        values = SQL(", ").join(_cast(row[name], kind) for name, kind in columns)
        return SQL("INSERT INTO {} ({}) VALUES ({})").format(Identifier(table), names, values)

    def _update(self, table: str, attacker: Attacker) -> Composable:
        columns = self.place.columns[table]
        chosen = self.random.sample(columns, k=min(len(columns), self.random.choice((1, 1, 2))))
        changes = SQL(", ").join(
            SQL("{} = {}").format(Identifier(name), _cast(self.value(name, kind, attacker), kind))
            for name, kind in chosen
        )
        return SQL("UPDATE {} SET {} {}").format(
            Identifier(table), changes, self._where(table, attacker)
        )

    def _delete(self, table: str, attacker: Attacker) -> Composable:
        return SQL("DELETE FROM {} {}").format(Identifier(table), self._where(table, attacker))

    def _where(self, table: str, attacker: Attacker) -> Composable:
        names = {name for name, _ in self.place.columns[table]}
        if "user_id" in names and self.random.random() < 0.7:
            user = self.random.choice((attacker.user_id, attacker.user_id, "ann", "ben"))
            return SQL("WHERE user_id = {}").format(Literal(user))
        return SQL("")

    def _call(self, function: Function, attacker: Attacker) -> Composable:
        return _called(
            function, [self.argument(name, kind, attacker) for name, kind in function.arguments]
        )

    def argument(self, name: str, kind: str, attacker: Attacker) -> Any:
        """A value for a function's parameter: three times of four one that fits its name."""
        if self.random.random() < 0.75:
            return self.fitting.value(_plain(name), kind)
        return self.value(name, kind, attacker)

    def new_id(self) -> uuid.UUID:
        return uuid.UUID(int=self.random.getrandbits(128))

    def value(self, name: str, kind: str, attacker: Attacker) -> Any:
        """A poison of the type, or a value of a row that is there."""
        pick = self.random.choice
        if kind.startswith("timestamp"):
            return pick(TIMES)
        if kind == "uuid":
            return pick(
                [str(self.new_id()), *self.ids["modification_id"], *self.ids["link_id"], None]
            )
        if kind == "jsonb":
            return pick(DOCUMENTS)
        if kind in ("integer", "bigint", "numeric", "double precision"):
            return pick([*NUMBERS, *(["NaN", "Infinity", "1e131000"] if kind == "numeric" else [])])
        if kind == "boolean":
            return pick((True, False, None))
        if kind.endswith("[]"):
            return pick(([], ["read"], ["manage_users", "read"], ["x", None], None))
        if kind == "bytea":
            return pick(("\\x00", None))
        return pick([*TEXTS, attacker.user_id])


def _may(attacker: Attacker, scope: str) -> bool:
    needed = {"member": set(), "commit": {"sync", "save_draft"}}.get(scope, {scope})
    return needed <= attacker.rights and bool(attacker.token)


def _plain(name: str) -> str:
    """The parameter's name in the statements of the program."""
    return name.removeprefix("given_")


def _called(function: Function, values: Sequence[Any]) -> Composable:
    given = [
        _cast(value, kind) for value, (_, kind) in zip(values, function.arguments, strict=True)
    ]
    return SQL("SELECT * FROM {}({})").format(Identifier(function.name), SQL(", ").join(given))


def _cast(value: Any, kind: str) -> Composable:
    if isinstance(value, list):
        inner = SQL(", ").join(Literal(None if item is None else str(item)) for item in value)
        return SQL("ARRAY[{}]::text[]::{}").format(inner, SQL(kind))
    if isinstance(value, Jsonb):
        return SQL("{}::jsonb").format(value)
    return SQL("{}::{}").format(Literal(value if value is None else str(value)), SQL(kind))


def _rows(place: Place, table: str) -> list[dict[str, Any]]:
    names = [name for name, _ in place.columns[table]]
    listed = ", ".join(
        f"{name}::text" if not kind.endswith("[]") else name for name, kind in place.columns[table]
    )
    found = place.rows(f"SELECT {listed} FROM {table} LIMIT 30")
    return [dict(zip(names, row, strict=True)) for row in found]


def _functions(place: Place) -> list[Function]:
    """The functions of the schema that the role may call."""
    rows = place.rows(
        "SELECT p.proname, coalesce(p.proargnames[1:p.pronargs], '{}'),"
        " ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (t, n) ORDER BY n)"
        " FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace"
        " AND p.proname LIKE ANY (ARRAY['pfa\\_%', 'audit\\_%'])"
        " AND has_function_privilege('pfa_app', p.oid, 'EXECUTE') ORDER BY 1, 3"
    )
    return [
        Function(name, tuple(zip(names or [""] * len(kinds), kinds, strict=True)))
        for name, names, kinds in rows
    ]


def _shadow(generator: Generator, _: Attacker) -> Composable:
    table = generator.random.choice(generator.place.tables)
    return SQL("CREATE TEMP TABLE {0} AS SELECT * FROM {0} LIMIT 0").format(Identifier(table))


def _view(generator: Generator, _: Attacker) -> Composable:
    return SQL("CREATE TEMP VIEW pfa_incoming AS SELECT 1 AS pfa_id")


def _context(generator: Generator, attacker: Attacker) -> Composable:
    said = generator.random.choice(("", f"{'0' * 64} ORG manage_users manage_users 9999999999 ann"))
    return SQL("SELECT set_config('pfa.context', {}, false)").format(Literal(said))


def _claims(generator: Generator, attacker: Attacker) -> Composable:
    said = '{"user": "ann", "organizations": {"ORG": {"rights": ["manage_users"]}}, "expires": 9999999999}'
    return SQL("SELECT set_config('pfa.verified', {}, false)").format(Literal(f"{'0' * 64} {said}"))


def _large(generator: Generator, attacker: Attacker) -> Composable:
    return SQL("SELECT lo_from_bytea(0, 'x')")


def _truncate(generator: Generator, attacker: Attacker) -> Composable:
    return SQL("TRUNCATE {}").format(Identifier(generator.random.choice(generator.place.tables)))


def _function(generator: Generator, attacker: Attacker) -> Composable:
    return SQL(
        "CREATE FUNCTION pg_temp.pfa_context() RETURNS text[] LANGUAGE sql RETURN ARRAY['ORG']"
    )


_OTHERS: list[Callable[[Generator, Attacker], Composable]] = [
    _shadow, _view, _context, _claims, _large, _truncate, _function,
]  # fmt: skip


def carry_out(conn: Connection[Any], attack: Attack) -> list[str]:
    """Send the attack; the kinds of the statements that were accepted and changed or returned something."""
    import psycopg

    accepted: list[str] = []
    try:
        with conn.transaction():
            conn.execute("SET LOCAL statement_timeout = '5s'")
            if attack.attacker.token:
                try:
                    with conn.transaction():
                        conn.execute(
                            "SELECT * FROM pfa_authorize(%s, %s, %s)",
                            [attack.attacker.token, attack.attacker.organization, attack.scope],
                        )
                except psycopg.Error:
                    pass
            for kind, statement in attack.statements:
                try:
                    with conn.transaction():
                        done = conn.execute(statement)
                    if done.rowcount or not kind.startswith(("update", "delete", "lock rows")):
                        accepted.append(kind)
                except psycopg.Error:
                    continue
            if attack.completes and accepted:
                with suppress(psycopg.Error), conn.transaction():
                    _complete(conn, attack.attacker)
    except psycopg.Error:
        return []
    return accepted


def _complete(conn: Connection[Any], attacker: Attacker) -> None:
    """Write the entries that the trail asks for, and their link."""
    expected = conn.execute("SELECT kind, id FROM saved.expected(%s)", [attacker.organization])
    actions: dict[str, list[dict[str, Any]]] = {}
    for kind, about in expected.fetchall():
        action = _ACTIONS.get(kind, kind if kind.startswith("token_") else "")
        entry = {
            "entry_id": str(uuid.uuid4()),
            "run_id" if kind == "run" else "modification_id": about,
        }
        if action:
            actions.setdefault(action, []).append(entry)
    write = sql.statements("audit").functions["write"].call
    for action, entries in actions.items():
        values = {"organization_id": attacker.organization, "user_id": attacker.user_id}
        conn.execute(write, {**values, "action": action, "entries": Jsonb(entries)})
    conn.execute("SELECT pfa_append_link(%s)", [attacker.organization])


# The action that says what a function has changed, of those that may.
_ACTIONS = {
    "write": "save", "delete": "discard", "commit": "commit", "uncommit": "uncommit",
    "acknowledge": "acknowledge", "reject": "reject", "dispute": "dispute", "release": "release",
    "run": "begin", "resolve": "resolve", "retry": "retry", "grant": "grant", "revoke": "revoke",
    "configure": "configure", "view_save": "view_save", "view_delete": "view_delete",
}  # fmt: skip
