"""The SQL as a distributed server takes it: each rule refuses what it is for, and no statement breaks one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from pfa_core import sql
from tests.store.distribution import RULES, faults, names_no_organization, plain
from tests.store.test_sql import BLOCKS

# By rule: accepted, refused.
SAMPLES = [
    (
        "NOT IN over a table",
        "SELECT FROM pfa_mirror AS m WHERE m.source NOT IN ('a', 'b')",
        "SELECT FROM pfa_mirror AS m WHERE m.pfa_id NOT IN (SELECT o.pfa_id FROM pfa_overlay AS o)",
    ),
    (
        "NOT IN over a table",
        "SELECT k.id FROM unnest(ids) AS k (id) EXCEPT SELECT m.pfa_id FROM pfa_mirror AS m",
        "DELETE FROM pfa_overlay AS o WHERE (o.user_id, o.pfa_id) NOT IN (\n"
        "    SELECT m.user_id, m.pfa_id FROM pfa_modification AS m)",
    ),
    (
        "a look-up between temporary and distributed tables",
        "SELECT count(*) FROM pfa_mirror AS m LEFT JOIN pfa_incoming AS i ON i.pfa_id = m.pfa_id"
        " WHERE i.pfa_id IS NULL",
        "SELECT count(*) FROM pfa_mirror AS m"
        " WHERE NOT EXISTS (SELECT FROM pfa_incoming AS i WHERE i.pfa_id = m.pfa_id)",
    ),
    (
        "a look-up between temporary and distributed tables",
        "UPDATE pfa_mirror AS m SET missing_since = NULL"
        " WHERE m.pfa_id IN (SELECT i.pfa_id FROM pfa_incoming AS i)",
        "UPDATE pfa_mirror AS m SET missing_since = NULL"
        " WHERE EXISTS (SELECT FROM pfa_seen AS s WHERE s.pfa_id = m.pfa_id OFFSET 0)",
    ),
    (
        "a look-up between temporary and distributed tables",
        "SELECT EXISTS (SELECT FROM pfa_overlay AS t WHERE t.pfa_id = m.pfa_id) FROM pfa_mirror AS m",
        "DELETE FROM pfa_incoming AS i"
        " WHERE EXISTS (SELECT FROM pfa_mirror AS m WHERE m.pfa_id = i.pfa_id)",
    ),
    (
        "a look-up for each row of a set",
        "SELECT t.organization_id FROM pfa_token AS t WHERE t.organization_id = ANY (codes)",
        "SELECT g.code FROM jsonb_each(payload -> 'organizations') AS g (code, content)"
        " WHERE NOT EXISTS (SELECT FROM pfa_token AS t WHERE t.organization_id = g.code)",
    ),
    (
        "a volatile function in a change",
        "UPDATE pfa_token AS t SET revoked_at = statement_timestamp()",
        "UPDATE pfa_token AS t SET revoked_at = clock_timestamp()",
    ),
    (
        "a volatile function in a change",
        "INSERT INTO pfa_lease (at) VALUES (clock_timestamp()) ON CONFLICT (name) DO UPDATE SET at = EXCLUDED.at",
        "INSERT INTO pfa_lease (at) VALUES (now()) ON CONFLICT (name) DO UPDATE SET at = clock_timestamp()",
    ),
    (
        "a change of a temporary table beside a distributed one",
        "DELETE FROM pfa_incoming AS i USING (SELECT m.pfa_id FROM pfa_mirror AS m) AS m WHERE m.pfa_id = i.pfa_id",
        "WITH gone AS (DELETE FROM pfa_incoming AS i RETURNING i.pfa_id)"
        " INSERT INTO pfa_digest (pfa_id) SELECT g.pfa_id FROM gone AS g",
    ),
    (
        "a look at rows that are changed beside it",
        "WITH found AS MATERIALIZED (SELECT o.pfa_id FROM pfa_overlay AS o),"
        " written AS (UPDATE pfa_overlay AS o SET delta = given RETURNING o.pfa_id)"
        " SELECT f.pfa_id FROM found AS f, written AS w",
        "WITH found AS (SELECT o.pfa_id FROM pfa_overlay AS o),"
        " written AS (UPDATE pfa_overlay AS o SET delta = given RETURNING o.pfa_id)"
        " SELECT f.pfa_id FROM found AS f, written AS w",
    ),
    (
        "a time by the session's zone in a change",
        "WITH l AS (SELECT m.user_id, m.at + interval '1 day' AS at FROM pfa_member AS m)"
        " UPDATE pfa_member AS m SET at = l.at FROM l WHERE m.user_id = l.user_id",
        "UPDATE pfa_member AS m SET at = greatest(m.at, m.since) + interval '1 day' WHERE m.user_id = 'a'",
    ),
    (
        "a time by the session's zone in a change",
        "UPDATE pfa_member AS m SET at = CASE WHEN m.rights IS NULL"
        " THEN (given AT TIME ZONE 'UTC' + interval '7 days') AT TIME ZONE 'UTC' END",
        "UPDATE pfa_member AS m SET at = CASE WHEN m.rights IS NULL THEN given + interval '7 days' END",
    ),
    (
        "a parameter beside a conflict",
        "INSERT INTO audit_head AS h (number) VALUES (1)"
        " ON CONFLICT (organization_id) DO UPDATE SET digest = %(facts)s",
        "INSERT INTO pfa_view AS v (name) SELECT %(name)s ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name"
        " WHERE v.created_by = EXCLUDED.created_by OR %(administers)s",
    ),
    (
        "several subcommands of ALTER TABLE",
        "ALTER TABLE pfa_view DROP CONSTRAINT a; ALTER TABLE pfa_view ADD CONSTRAINT a CHECK (true)",
        "ALTER TABLE pfa_view DROP CONSTRAINT a, ADD CONSTRAINT a CHECK (true)",
    ),
    (
        "several subcommands of ALTER TABLE",
        "ALTER TABLE pfa_view ADD COLUMN a text, ADD COLUMN b text",
        "ALTER TABLE pfa_view ADD COLUMN a text, ADD COLUMN b text CHECK (b <> '')",
    ),
]

# Functions that read more than one organization, with the reason.
OF_ALL: dict[str, str] = {}
# Functions that only row-level security calls, which a distributed database does not have: no function there sees
# what its caller wrote in the transaction.
UNDER_RLS = "row-level security alone calls it, which a distributed database does not have"
BY_STEPS = (
    "sent where the tables are not distributed; else gather_unchanged, drop_gathered, keep_gathered"
)
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("mirror.drop_same", "a change of a temporary table beside a distributed one"): BY_STEPS,
    ("mirror.drop_unchanged", "a change of a temporary table beside a distributed one"): BY_STEPS,
    (
        "mirror.drop_unchanged_named",
        "a change of a temporary table beside a distributed one",
    ): BY_STEPS,
    ("schema pfa_end_tokens", "a time by the session's zone in a change"): UNDER_RLS,
    ("mirror.post_overlays", "a look-up between temporary and distributed tables"): UNDER_RLS,
    ("mirror.take_back_overlays", "a look-up between temporary and distributed tables"): UNDER_RLS,
    ("schema pfa_trail_differs", "a look-up for each row of a set"): UNDER_RLS,
    ("schema pfa_check_trail", "a look-up for each row of a set"): UNDER_RLS,
    ("schema pfa_require_fields", "a look-up for each row of a set"): UNDER_RLS,
    ("schema pfa_disputes_others", "a look-up for each row of a set"): UNDER_RLS,
}


@pytest.mark.parametrize(("rule", "accepted", "refused"), SAMPLES)
def test_a_rule_refuses_what_it_is_for_and_nothing_else(
    rule: str, accepted: str, refused: str
) -> None:
    assert faults(accepted) == []
    assert faults(refused) == [rule]


def test_each_rule_has_a_sample() -> None:
    assert {rule for rule, *_ in SAMPLES} == set(RULES)


def program() -> Iterator[tuple[str, str]]:
    """Every statement of the program by its place: blocks, and those of the schema with its functions."""
    for noun, name in BLOCKS:
        yield f"{noun}.{name}", sql.statements(noun)[name]
    schema = files(sql).joinpath("migrations/0001_schema.sql").read_text("utf-8")
    place = "outside of functions"
    for statement in re.split(r";\s*$", re.sub(r"--.*", "", schema), flags=re.MULTILINE):
        created = re.findall(r"CREATE (?:OR REPLACE )?FUNCTION (\w+)", statement)
        place = created[-1] if created else place
        # Where it is released the schema has these functions too: of the blocks as they were.
        if not place.startswith("pfa_do_"):
            yield f"schema {place}", statement


def test_no_statement_of_the_program_breaks_a_rule() -> None:
    statements = list(program())
    assert len(statements) > 900
    found = {(place, rule) for place, text in statements for rule in faults(text)}
    assert found == set(EXCEPTIONS)


def test_no_statement_of_the_schema_reads_a_table_without_an_organization() -> None:
    assert names_no_organization("SELECT FROM pfa_mirror AS m WHERE m.pfa_id = id")
    assert not names_no_organization("SELECT FROM pfa_mirror AS m WHERE m.organization_id = code")
    found = {
        place
        for place, text in program()
        if place.startswith("schema ") and names_no_organization(plain(text))
    }
    assert found == set(OF_ALL)
