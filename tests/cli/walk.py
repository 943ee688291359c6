"""One command line of every command, in an order in which each has something to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from pfa_core.pems.sandbox.server import Sandbox
from pfa_core.sql.tables import CARRIED
from tests.cli import shapes
from tests.cli.conftest import baseline_record
from tests.program import Pfa, Ran, a_stage


@a_stage
def pulled(pfa: Pfa) -> None:
    """The records H-001 to H-006 out of a PEMS."""
    assert pfa("init", "--org", "HOLNG").code == 0
    with a_pems() as pems, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFA_PEMS_URL", pems.url)
        assert pfa("sync", "pull").code == 0


def a_pems() -> Sandbox:
    records = [{**baseline_record(number), "organization": "HOLNG"} for number in range(1, 7)]
    return Sandbox(organization="HOLNG", records=records)


# One after the other: later ones need what earlier ones did. Those with a star write.
LINES = """
init --org HOLNG | auth refresh | auth refresh --print | list | show H-001
stats | stats --by category | stats --by month | status | report
*draft set H-001 H-002 H-003 model=New --into one | *draft set H-004 areaSilo=Quay --into two
*draft shift 1 --id H-005 --into two | *draft save delta.json | draft list | diff
session use one | session list | session show | session use --none | org use HOLNG | org use --none
config list | config get pems.retries | config explain organization
*config set pems.tenant T | *config unset pems.tenant
*profile add other --org HOLNG | profile list | profile show other | profile use other | profile use --none
*profile remove other
*view save cranes --category Crane | *view save common --dor BEO --sort -pfaId --shared | view list
list --view cranes | stats --view common | view show cranes | *view delete cranes
*draft unset H-004 areaSilo | *discard --session two | *restore --id H-005 | *undo | *undo --redo
undo --list | *discard --id H-005 | plan --session one | status
*commit --session one | *uncommit --session one | *commit --session one | THEIRS | *sync push
*revert --session one | draft list
sync show RUN | sync retry -n | *sync retry | *sync pull | sync runs
changes | blame H-001 | show H-001 --history | log --pems
conflict list | conflict show H-001 | *conflict resolve H-001 --take mine | conflict list --status all
log | log show --limit 3 | log verify | *log archive --before 2d --to trail.gz
metrics | org list | *org set --currency EUR | *org add RIO
*org export RIO rio.pfa | *org reopen RIO --reason tried | GONE | *org import rio.pfa
*user grant ben --role viewer | user list | *user revoke ben | auth issue --user root | auth status
auth list | auth keys | auth keys list | db status | db url
completion bash | db verify | *db upgrade | doctor | version | schema | explain | explain draft | fields
auth issue --user root --to some-more.token | auth login TOKEN | *auth revoke ISSUED
db backup pfa.dump --no-verify | *auth keys rotate --overlap 1h | *auth keys retire KEY | sample files
"""


@dataclass(frozen=True)
class Line:
    """A command line of the walk, with what its words in capitals stand for."""

    words: tuple[str, ...]
    writes: bool

    @property
    def command(self) -> tuple[str, ...]:
        return shapes.command_of(self.words)


def walked(pfa: Pfa, folder: Path) -> Iterator[Line]:
    """The command lines, one after the other; those that write have to be run before the next one is asked for.

    `PFA_ORG`, `PFA_PEMS_URL` and the current directory are set meanwhile.
    """
    delta = {"pfaId": "H-006", "delta": {"dor": "PROJECT"}}
    (folder / "delta.json").write_text(json.dumps(delta))
    with a_pems() as pems, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PFA_ORG", "HOLNG")
        patch.setenv("PFA_PEMS_URL", pems.url)
        for text in LINES.replace("\n", " | ").split(" | "):
            if text == "THEIRS":
                pems.change("H-001", model="Theirs")
                pems.remove("H-003")
            elif text == "GONE":
                forget(pfa, "RIO")
            elif text:
                words = (_value(pfa, word) for word in text.removeprefix("*").split())
                yield Line(tuple(words), writes=text.startswith("*"))


def run(pfa: Pfa, line: Line, style: str, *, dry: bool, more: Sequence[str] = ()) -> Ran:
    """Run a command line in a format; `Pfa` checks what it writes by the schemas."""
    return pfa(*line.words, *more, "-o", style, *(["-n"] if dry and line.writes else []))


def _value(pfa: Pfa, word: str) -> str:
    if word == "RUN":
        return json.loads(pfa("sync", "runs", "-o", "jsonl").lines[0])["runId"]
    if word == "KEY":
        keys = [json.loads(line) for line in pfa("auth", "keys", "-o", "jsonl").lines]
        return next(key["keyId"] for key in keys if key["state"] != "signing")
    if word == "ISSUED":
        return pfa("auth", "issue", "--user", "root", "-o", "json").json["tokenId"]
    if word == "TOKEN":
        file = pfa.folder / "some.token"
        file.touch(mode=0o600)
        file.write_text(pfa("auth", "issue", "--user", "root").out)
        return str(file)
    return word


def forget(pfa: Pfa, organization: str) -> None:
    """Delete the organization, as if the database had never had it."""
    with psycopg.connect(pfa.url, autocommit=True) as conn:
        for table in CARRIED:
            conn.execute(f"DELETE FROM {table} WHERE organization_id = %s", [organization])
