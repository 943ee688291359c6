"""Variants of statements for exactly one id: each means what the statement over an array means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import Connection
from psycopg.types.json import Jsonb

from pfa_core import sql
from tests.factories import World, a_world, commit, draft, record
from tests.store.test_sql import NOUNS

# Placeholders of blocks that are composed, and blocks that are pieces of another.
COMPOSED: dict[str, dict[str, LiteralString]] = {
    "mirror.lock_fields": {"fields": "data ->> 'model', data ->> 'dor'"}
}
PIECES = {"modifications.among": "drafts"}
WRITTEN = ("pfa_modification", "pfa_overlay", "kpi_overlay", "audit_log")
VARIANTS = [
    f"{noun}.{name.removesuffix('@one')}"
    for noun in NOUNS
    for name in sql.statements(noun)
    if name.endswith("@one")
]


@pytest.fixture(scope="module")
def world(postgres, template) -> Iterator[World]:
    """A draft of P-1, a committed change of P-2, nothing of P-3, a change of P-4 that PEMS has; another user's
    draft of P-1."""
    with postgres.database(template) as url:
        users = {"ann": "admin", "eve": "editor"}
        world = a_world(url, *map(record, ("P-1", "P-2", "P-3", "P-4")), users=users)
        draft(world.db, world.principal("eve"), "P-1", monthlyRate=7)
        draft(world.db, world.principal(), "P-2", session="sent", model="sent")
        commit(world.db, world.principal(), session="sent")
        draft(world.db, world.principal(), "P-1", session="s", monthlyRate=2)
        draft(world.db, world.principal(), "P-4", session="done", model="sent")
        commit(world.db, world.principal(), session="done")
        world.execute(
            "UPDATE pfa_modification SET state = 'synced', synced_at = now() WHERE pfa_id = 'P-4'"
        )
        yield world
        world.db.close()
        world.owner.close()


def both(block: str) -> tuple[LiteralString, LiteralString]:
    """The statement over an array and the one for exactly one id."""
    noun, _, name = block.partition(".")
    statements = sql.statements(noun)
    pair = statements[name], statements[f"{name}@one"]
    if block in PIECES:
        whole = statements[PIECES[block]]
        return whole.format(of_session="", among=pair[0]), whole.format(
            of_session="", among=pair[1]
        )
    parts = COMPOSED.get(block)
    return (pair[0].format(**parts), pair[1].format(**parts)) if parts else pair


def values_for(world: World, pfa_id: str) -> dict[str, Any]:
    """All that a statement can ask for, about one record and ann's modification of it."""
    query = "SELECT modification_id::text, version FROM pfa_modification WHERE user_id = 'ann' AND pfa_id = %s"
    found = world.rows(query, pfa_id)
    modification_id, version = found[0] if found else ("01900000-0000-7000-8000-000000000000", 1)
    changed = {
        "modification_id": modification_id,
        "session_id": "other",
        "delta": {"monthlyRate": 9},
        "base": {"monthlyRate": 1000},
        "change_reason": None,
        "version": version,
    }
    return {
        "organization_id": "ORG",
        "user_id": "ann",
        "ids": [pfa_id],
        "modification_ids": [modification_id],
        "drafts": Jsonb([changed]),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "action": "save",
        "first_digits": "01900000-0000-7000-8000-0000",
        "link_id": "01900000-0000-7000-8000-000000000001",
        "before": True,
        "base": False,
        "was": True,
        "after": True,
    }


def effect(conn: Connection[Any], statement: LiteralString, values: dict[str, Any]) -> list[Any]:
    """What the statement returns, how many rows it touches, and what the tables hold then, each row with whether it
    was written."""
    with conn.transaction(force_rollback=True):
        cursor = conn.execute(statement, values)
        rows = cursor.fetchall() if cursor.description else []
        tables = [
            conn.execute(
                f"SELECT t::text, t.xmin = pg_current_xact_id()::xid FROM {table} AS t ORDER BY 1"
            ).fetchall()
            for table in WRITTEN
        ]
        return [rows, cursor.rowcount, tables]


@pytest.mark.parametrize("block", VARIANTS)
def test_a_variant_for_one_id_means_what_the_statement_over_an_array_does(
    world: World, block: str
) -> None:
    over_array, about_one = both(block)
    assert over_array != about_one
    touched = 0
    with psycopg.connect(world.owner.conninfo or "", autocommit=True) as conn:
        for pfa_id in ("P-1", "P-2", "P-3", "P-4", "unknown"):
            values = values_for(world, pfa_id)
            expected = effect(conn, over_array, values)
            assert effect(conn, about_one, values) == expected
            touched += expected[1] + sum(is_new for table in expected[2] for _, is_new in table)
    assert touched > 0


def test_every_statement_over_ids_has_a_variant_for_one_but_those_of_whole_runs() -> None:
    without = [
        f"{noun}.{name}"
        for noun in NOUNS
        for name, block in sql.statements(noun).items()
        if "ids)s" in block and "@" not in name and f"{name}@one" not in sql.statements(noun)
    ]
    assert without == [
        "audit.discards",
        "audit.of_records",
        "audit.discarded",
        "changes.settled",
        "changes.settled_archived",
        "comparison.drop",
        "conflicts.hold",
        "mirror.drop_known",
        "mirror.held_named",
        "mirror.drop_unchanged_named",
        "mirror.gather_unchanged_named",
        "mirror.hold_overlays",
        "mirror.overlays_named",
        "mirror.post_named",
        "mirror.hold",
        "modifications.hold",
        "modifications.fields_of",
        "modifications.found",
        "modifications.found_one",
        "modifications.update_drafts",
        "modifications.update_draft",
        "modifications.commit_drafts",
        "modifications.commit_draft",
        "operations.contents",
        "operations.later",
        "operations.rows",
        "operations.synced",
        "operations.rewrite_drafts",
        "operations.recommit",
        "overlays.rebuild_under_rls",
        "overlays.drop",
        "overlays.drop_if_all",
        "overlays.old_of_ids",
        "overlays.old_of_single",
        "overlays.post_stacked",
        "overlays.post_only",
        "overlays.sums_stacked",
        "overlays.sums_only",
        "overlays.write_stacked",
        "overlays.write_only",
        "overlays.old_of_pairs",
        "overlays.rows_of_pairs",
        "overlays.drop_left",
        "overlays.drop_pairs",
        "overlays.put_pairs",
        "pull_pages.add",
        "queue.due",
        "queue.mirror_values",
        "queue.acknowledge",
        "queue.next_due",
        "queue.left",
        "queue.requeue",
        "sent.of_records",
        "sent.values",
        "signing_keys.register",
        "tokens.revoke",
        "tokens.of_ids",
        "tokens.count_outliving",
        "waiting.waits",
        "waiting.in_order",
        "waiting.number",
        "waiting.by_record",
        "waiting.records",
    ]


def test_the_choice_between_the_variants_follows_the_number_of_ids() -> None:
    statements = sql.statements("mirror")
    assert statements.for_ids("rows", ["P-1"]) == statements["rows@one"]
    assert statements.for_ids("rows", []) == statements["rows"]
    assert statements.for_ids("rows", {"P-1", "P-2"}) == statements["rows"]
