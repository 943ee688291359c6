"""An older program on a newer schema, a newer one on an older: every command refuses and says what to type."""

from __future__ import annotations

import json

import psycopg
import pytest

from pfa_core import sql
from pfa_core.store import schema
from tests.cli.walk import pulled, walked
from tests.forms import LONG
from tests.program import Pfa

__all__ = ["pulled"]  # a fixture

# What asks no database, says which one is there, is about a file, or about an organization that the token lacks.
ELSEWHERE = (
    *(
        "config",
        "profile",
        "session use",
        "session show",
        "org use",
        "completion",
        "version",
        "schema",
        "explain",
    ),
    *("fields", "sample", "auth refresh", "db status", "db url", "auth login", "auth status"),
    *("org export", "org import", "org reopen"),
)
NEWER = ("newer than this program's", "hint: install the newer pfa")
OLDER = ("this program needs", "hint: type: pfa db upgrade")


@pytest.fixture(params=["newer", pytest.param("older", marks=LONG)])
def other(
    request: pytest.FixtureRequest, pulled: Pfa, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    """The schema is another one than the program's; what a refusal says."""
    if request.param == "newer":
        with psycopg.connect(pulled.url, autocommit=True) as conn:
            number = schema.program_version() + 1
            conn.execute("INSERT INTO pfa_schema_migration VALUES (%s, 'x', 'x', now())", [number])
    else:
        later = (schema.program_version() + 1, "0002_later.sql", "SELECT 1;")
        known = [*sql.migrations(), later]
        monkeypatch.setattr(sql, "migrations", lambda: known)
        monkeypatch.setattr(sql, "newest_migration", lambda: later[0])
    pulled.connect_anew()
    return NEWER if request.param == "newer" else OLDER


def test_every_command_refuses_another_schema_and_says_what_to_type(
    pulled: Pfa, tmp_path, other: tuple[str, ...]
) -> None:
    refused = 0
    with psycopg.connect(pulled.url) as conn:
        before = conn.execute("SELECT count(*) FROM audit_log").fetchone()
    for line in walked(_Refused(pulled), tmp_path):
        name = " ".join(line.words)
        if name.startswith(ELSEWHERE) or (name.startswith("db upgrade") and other is OLDER):
            continue
        ran = pulled(*line.words)
        if name.startswith("doctor"):
            assert (ran.code, other[1].removeprefix("hint: ") in ran.out) == (78, True)
            continue
        assert (ran.code, [said for said in other if said not in ran.err]) == (78, []), (name, ran)
        refused += 1
    assert refused > 70
    with psycopg.connect(pulled.url) as conn:
        assert conn.execute("SELECT count(*) FROM audit_log").fetchone() == before


class _Refused(Pfa):
    """Answers the walk's own questions for an id, since no command gives one."""

    def __init__(self, pfa: Pfa) -> None:
        super().__init__(pfa.url, pfa.folder, pfa.capsys, pfa.sessions)

    def __call__(self, *words: str):
        from tests.program import Ran

        an_id = "01a2109c-0a59-70c0-aacd-970c40143a9b"
        answer = {"runId": an_id, "keyId": "k", "state": "x", "tokenId": an_id}
        text = json.dumps(answer)
        return Ran(
            0, "a.token" if words[:2] == ("auth", "issue") and "-o" not in words else text, ""
        )


def test_a_schema_of_another_text_is_no_good_one(pulled: Pfa) -> None:
    """An unreleased program made it, of its own number: status and doctor say so, and what to do."""
    with psycopg.connect(pulled.url, autocommit=True) as conn:
        conn.execute("UPDATE pfa_schema_migration SET checksum = 'x'")
    status = pulled("db", "status", "-o", "json").json["data"]
    assert "0001_schema.sql is not the one that was applied to this database" in status["problem"]
    ran = pulled("doctor", "-o", "json")
    assert ran.code == 78
    (found,) = [one for one in ran.json["data"] if one["check"] == "schema"]
    assert found["result"] == "problem"
    assert "an unreleased pfa made it" in found["finding"]
    assert found["cure"].startswith("with the pfa that made it, type: pfa list --to records.csv")
    assert pulled("db", "upgrade").code == 78
