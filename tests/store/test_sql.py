"""The SQL as text: every block is used, and no table is read or written across tenants."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

import pfa_core.store
from pfa_core import sql

NOUNS = sorted(
    entry.name.removesuffix(".sql") for entry in files(sql).iterdir() if entry.name.endswith(".sql")
)
BLOCKS = [(noun, name) for noun in NOUNS for name in sql.statements(noun)]
TENANT = re.compile(
    r"\b(FROM|JOIN|UPDATE(?! SET)|USING|INTO)\s+"
    r"((?:pfa_(?!incoming|seen|absent|same|schema_migration|signing_key|organization)|kpi_|audit_)\w+)"
    r"(?![\w(])"
    r"(?:\s+AS\s+(\w+))?"
)
SAYS_SO = r"{}organization_id = (?:%\(organization_id\)s|\(SELECT %\(organization_id\)s::text\))"
SCHEMA = "0001_schema"
# Pieces of a statement whose WHERE is in another block.
PIECES = {
    ("sums", "mirror"): "live",
    ("sums", "touched_before"): "live",
    ("sums", "touched_after"): "live",
}


def code(noun: str, name: str) -> str:
    """The block without its comments."""
    return re.sub(r"--.*", "", sql.statements(noun)[name])


def offenders(is_offending: Callable[[str, str], object]) -> list[str]:
    """The blocks of all nouns of which it is so."""
    assert len(BLOCKS) > 200
    return [f"{noun}.{name}" for noun, name in BLOCKS if is_offending(noun, name)]


def test_every_table_of_a_statement_is_held_to_the_organization():
    assert offenders(unheld_tables) == []


def unheld_tables(noun: str, name: str) -> list[str]:
    """The tables, by name or alias, that are read or written without the organization."""
    text = code(noun, name)
    whole = text + code(noun, PIECES[noun, name]) if (noun, name) in PIECES else text
    unheld: list[str] = []
    read: Counter[str] = Counter()
    for clause, table, alias in TENANT.findall(text):
        if clause != "INTO":
            read[rf"\b{alias}\." if alias else r"(?<![.\w])"] += 1
        elif not re.search(rf"INTO {table}[^(]*\(\s*organization_id\b", text):
            unheld.append(table)
    for prefix, times in read.items():
        if len(re.findall(SAYS_SO.format(prefix), whole)) < times:
            unheld.append(prefix)
    return unheld


def test_every_block_has_a_reader():
    assert offenders(lacks_a_reader) == []


def lacks_a_reader(noun: str, name: str) -> bool:
    by_enum = noun == "sums" and name in ("mirror", "touched_before", "touched_after")
    block, _, _ = name.partition("@")
    return (
        f'"{block}"' not in source_of(noun)
        and not by_enum
        and (noun, block) not in composed()
        and not is_frozen(noun, block)
    )


def is_frozen(noun: str, block: str) -> bool:
    """Whether a released migration has the block, below the first line of its comment, in place of its name."""
    text = files(sql).joinpath(f"{noun}.sql").read_text()
    comment = re.search(rf"^-- name: {block}\n(-- (?!from:|by:|steps:).+)$", text, re.MULTILINE)
    return (
        bool(comment) and comment[1] in files(sql).joinpath(f"migrations/{SCHEMA}.sql").read_text()
    )


@cache
def composed() -> set[tuple[str, str]]:
    """The blocks that others, functions of the schema or the conversion are composed of."""
    found: set[tuple[str, str]] = set()
    for noun in NOUNS:
        text = files(sql).joinpath(f"{noun}.sql").read_text()
        for line in re.findall(r"^-- (?:from|steps): (.*)$", text, re.MULTILINE):
            found |= {
                (there or noun, name) for there, name in re.findall(r"(?:(\w+)\.)?(\w+)", line)
            }
    for name in (SCHEMA, "prerelease"):
        text = files(sql).joinpath(f"migrations/{name}.sql").read_text()
        found |= set(re.findall(r"-- statement: (\w+)\.(\w+)", text))
    return found


def test_a_statement_of_which_an_index_serves_no_other_is_the_only_one_that_names_its_condition():
    assert offenders(lambda noun, name: "version > 0" in code(noun, name)) == ["sums.pending"]


@cache
def source_of(noun: str) -> str:
    """The modules that read the blocks of a noun."""
    folder = Path(pfa_core.store.__file__).parent
    texts = [path.read_text() for path in sorted(folder.rglob("*.py"))]
    return "\n".join(text for text in texts if f'statements("{noun}")' in text)


def test_a_statement_takes_its_time_and_its_ids_from_the_caller():
    own = re.compile(r"\bnow\(\)|current_timestamp|gen_random_uuid|nextval|random\(")
    found = offenders(lambda noun, name: own.search(code(noun, name).lower()))
    assert [block for block in found if not block.startswith("schema.")] == []


def test_an_insert_from_a_select_says_what_happens_to_rows_that_are_there():
    def is_silent(noun: str, name: str) -> bool:
        text = code(noun, name)
        selects = re.search(r"INSERT INTO (?!pfa_incoming)[\s\S]*\bSELECT\b", text)
        return bool(selects and not re.search(r"\bON CONFLICT\b|\bRETURNING\b", text))

    assert offenders(is_silent) == []


def test_nothing_is_used_that_a_distributed_server_or_an_older_one_refuses():
    refused = re.compile(
        r"\b(MERGE INTO|LISTEN|NOTIFY|REFRESH MATERIALIZED|set_config|pg_advisory)\b"
    )

    def uses_it(noun: str, name: str) -> object:
        # Settings of a session are of the coordinator's own, as those of SET.
        own = {"schema": "pg_advisory", "session": "set_config"}.get(noun, "")
        return refused.search(code(noun, name).replace(own, "") if own else code(noun, name))

    assert offenders(uses_it) == []


def test_the_database_digests_an_entry_by_the_same_expression_as_the_store():
    digest = "".join(code("audit_chain", "entry_digest").split())
    (_, _, schema), *_ = sql.migrations()
    assert digest in "".join(schema.split())


def test_no_statement_updates_an_organization_id():
    for noun, name in BLOCKS:
        for assigned in re.findall(r"\bSET\b([\s\S]*?)(?:\bWHERE\b|\bFROM\b|\Z)", code(noun, name)):
            assert not re.search(r"(?:^|,)\s*organization_id\s*=", assigned), (noun, name)


def test_a_block_is_found_by_its_name_without_its_name_line():
    block = sql.statements("members")["member"]
    assert block.startswith("-- No row: not a member.\nSELECT organization_id")
    assert "-- name:" not in block


# --- sessions that a pooler gives to others -------------------------------------------------------

# What outlives the transaction that says it.
OUTLIVES = re.compile(
    r"\b(?:LISTEN|PREPARE|WITH HOLD|pg_(?:try_)?advisory_lock\w*|SET SESSION|SET ROLE"
    r"|set_config\([^;]*false\))|(?:\A\s*|;\s*)SET (?!LOCAL|CONSTRAINTS)"
    r"|(?:TEMP|TEMPORARY) TABLE(?![^;]*ON COMMIT DROP)"
)
# The lock of upgrades, which takes `lock_within` behind a pooler.
OF_SESSIONS = ["schema.lock"]


def test_nothing_outlives_its_transaction_in_a_session():
    assert offenders(lambda noun, name: OUTLIVES.search(code(noun, name))) == OF_SESSIONS
    for text in (
        "CREATE TEMPORARY TABLE a (b text);",
        "SELECT set_config('a', 'b', false);",
        "SET work_mem = '1GB';",
        "SELECT pg_advisory_lock(1);",
    ):
        assert OUTLIVES.search(text), text
    assert not OUTLIVES.search("CREATE TEMP TABLE a (b text) ON COMMIT DROP; SET LOCAL jit = off;")
