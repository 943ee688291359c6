"""Transactions of the program itself, bent in one place: what passes the checks of the functions that write."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unittest.mock import patch

import psycopg
from psycopg import Connection, Cursor
from psycopg.types.json import Jsonb

import pfa_core
from pfa_core.model.principal import Principal
from tests.factories import a_principal
from tests.rls.attack.place import Attacker, Place
from tests.rls.attack.statements import DOCUMENTS, NUMBERS, TEXTS, TIMES

Statement = tuple[Any, Any]


@dataclass(frozen=True)
class Program:
    """What the program sends for one operation of an attacker, from its authorization to the end of its link."""

    name: str
    attacker: Attacker
    statements: list[Statement]


def programs(place: Place) -> list[Program]:
    """Record what operations of the attackers send; each is rolled back."""
    attackers = {one.name: one for one in place.attackers}
    eli, adm = place.principal("eli"), _as(place, "adm")
    job = a_principal("service:sync", "ORG", "editor", rights=["sync"])
    found = []
    for name, attacker, who, operation in (
        ("save", "editor", eli, _save("P-4", session="made")),
        ("save again", "editor", eli, _save("P-1", session="drafts")),
        ("commit", "editor", eli, lambda db, w: pfa_core.commit(db, w, _session("drafts"), dry_run=True)),
        ("uncommit", "editor", eli, lambda db, w: pfa_core.uncommit(db, w, _session("out"), dry_run=True)),
        ("discard", "editor", eli, lambda db, w: pfa_core.discard(db, w, _session("drafts"), dry_run=True)),
        ("restore", "editor", eli, lambda db, w: pfa_core.restore(db, w, session_id="gone", dry_run=True)),
        ("revoke own", "viewer", place.principal("vic"),
         lambda db, w: pfa_core.revoke_tokens(db, w, user_id="vic", dry_run=True)),
        ("grant", "administrator", adm, lambda db, w: pfa_core.grant(db, w, "new", "viewer", dry_run=True)),
        ("grant again", "administrator", adm, lambda db, w: pfa_core.grant(db, w, "ben", "viewer", dry_run=True)),
        ("revoke", "administrator", adm, lambda db, w: pfa_core.revoke(db, w, "ben", dry_run=True)),
        ("revoke all", "administrator", adm,
         lambda db, w: pfa_core.revoke_tokens(db, w, everyone=True, dry_run=True)),
        ("pull", "administrator", adm,
         lambda db, w: pfa_core.pull_files(db, w, [str(place.folder / "baseline.jsonl")], dry_run=True)),
        ("save a view", "viewer", place.principal("vic"), _view(shared=False)),
        ("share a view", "editor", eli, _view(shared=True)),
        ("delete a view", "administrator", adm,
         lambda db, w: pfa_core.delete_view(db, w, "common", shared=True, dry_run=True)),
        ("retry", "service:sync", job, lambda db, w: pfa_core.retry(db, w, None, dry_run=True)),
    ):  # fmt: skip
        found.append(Program(name, attackers[attacker], _recorded(place, who, operation)))
    return found


def _as(place: Place, user: str) -> Principal:
    return a_principal(user, place.org.organization, "admin")


def _session(name: str) -> pfa_core.Selection:
    return pfa_core.Selection(session_id=name)


def _save(pfa_id: str, *, session: str) -> Callable[[Any, Principal], Any]:
    change = pfa_core.Change(pfa_id, {"model": "mine", "monthlyRate": 7}, "a reason")
    return lambda db, who: pfa_core.save(db, who, [change], session_id=session, dry_run=True)


def _view(*, shared: bool) -> Callable[[Any, Principal], Any]:
    view = pfa_core.View(name="new", sort="pfaId")
    return lambda db, who: pfa_core.save_view(db, who, view, shared=shared, dry_run=True)


def _recorded(
    place: Place, who: Principal, operation: Callable[[Any, Principal], Any]
) -> list[Statement]:
    sent: list[Statement] = []
    plain = Cursor.execute

    def execute(self: Cursor[Any], query: Any, params: Any = None, **words: Any) -> Any:
        sent.append((query, params))
        return plain(self, query, params, **words)

    with place.org.db.beside() as db:
        db.connection()
        with patch.object(Cursor, "execute", execute):
            operation(db, who)
    begins = [n for n, (query, _) in enumerate(sent) if "pfa_authorize" in str(query)]
    assert begins, sent
    return sent[begins[0] :]


class Bender:
    """Draws programs with one value bent, or one statement left out, repeated or moved."""

    def __init__(self, place: Place, seed: int) -> None:
        self.random = random.Random(seed)
        self.programs = programs(place)
        self.place = place

    def draw(self) -> Program:
        """Draw a program that is not the one that was recorded."""
        drawn = self.random.choice(self.programs)
        statements = list(drawn.statements)
        place = self.random.randrange(1, len(statements))
        how = self.random.random()
        if how < 0.1:
            del statements[place]
        elif how < 0.2:
            statements.insert(place, statements[place])
        else:
            for _ in range(30):
                place = self.random.randrange(1, len(statements))
                query, params = statements[place]
                if params:
                    statements[place] = (query, self._bent(params, drawn.attacker))
                    break
        return Program(drawn.name, drawn.attacker, statements)

    def _bent(self, params: Any, attacker: Attacker) -> Any:
        if isinstance(params, Mapping):
            bent = dict(params)
            name = self.random.choice(sorted(bent))
            bent[name] = self._value(bent[name], attacker)
            return bent
        listed = list(params)
        number = self.random.randrange(len(listed))
        listed[number] = self._value(listed[number], attacker)
        return listed

    def _value(self, value: Any, attacker: Attacker) -> Any:
        pick = self.random.choice
        if isinstance(value, Jsonb):
            return Jsonb(self._document(value.obj))
        if isinstance(value, str) and value[:1] in ("[", "{"):
            with suppress(ValueError):
                return json.dumps(self._document(json.loads(value)), default=str)
        if isinstance(value, bool):
            return not value
        if isinstance(value, datetime):
            return pick(TIMES)
        if isinstance(value, int):
            return pick(NUMBERS)
        if isinstance(value, list):
            return pick(
                (
                    [],
                    value[1:],
                    [*value, *value],
                    [pick(("ann", "ben", "P-1", "P-2")) for _ in value],
                )
            )
        if isinstance(value, str) and len(value) == 36:
            return pick(
                [
                    row[0]
                    for row in self.place.rows("SELECT modification_id::text FROM pfa_modification")
                ]
            )
        return pick([*TEXTS, "ann", "ben", attacker.user_id])

    def _document(self, content: Any) -> Any:
        """A document with one value in it bent, or wholly another."""
        if self.random.random() < 0.1:
            return json.loads(
                self.random.choice([one for one in DOCUMENTS if one and len(one) < 4000])
            )
        if isinstance(content, list) and content:
            number = self.random.randrange(len(content))
            return [*content[:number], self._document(content[number]), *content[number + 1 :]]
        if isinstance(content, dict) and content:
            name = self.random.choice(sorted(content))
            return {**content, name: self._document(content[name])}
        known = ["ann", "ben", "eli", "P-1", "P-2", "NOPE-1", "committed", "synced", "draft", "x" * 5000, "abc", "",
                 None, 5, -1, 2147483647, True, {}, [], {"model": "BENT"}, "infinity", "2026-02-31"]  # fmt: skip
        return self.random.choice(known)


def replay(conn: Connection[Any], program: Program) -> bool:
    """Send a program's statements in one transaction; whether all of it was committed."""
    try:
        with conn.transaction():
            conn.execute("SET LOCAL statement_timeout = '5s'")
            for query, params in program.statements:
                conn.execute(query, params)
    except (psycopg.Error, TypeError, ValueError):
        return False
    return True
