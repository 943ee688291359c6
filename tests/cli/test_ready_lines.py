"""Lines that the database composes are those that the program writes, byte by byte."""

from __future__ import annotations

import json
import random
import re
import shlex
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from pfa_cli.commands import diff
from pfa_cli.commands.drafts import view
from pfa_core.store.reads import lines
from tests.cli.conftest import baseline_record, write_lines
from tests.forms import long
from tests.program import Pfa, Ran, a_stage

Call = Callable[..., Ran]
TEXTS = (
    *("plain", "", " ", "a,b", 'Trailer, 40" flat', "O'Neill & Sons", "'=1", "x'+y", "'", "''-1", "=1+1", "-5"),
    *("@x", "back\\slash", 'a\\"b', "{curly}", "[square]", ": [x", '": {', "', '", "東洋建機", "Müller"),
    *("\u202eRTL", "\x85next"),
    *("a\u2028'=b", "\u2029", "\x7fdelete", "\u200f", "🏗", "null", "\uff1dfull", "'\uff1dfull"),
    *("%s %(x)s", "O'-Neill, \"q\""),
)  # fmt: skip
# In texts of any kind, for which there is a field.
CONTROLS = ("tab\there", "line\nend", "line\n'=x", "\r", "\v\f", "\x01", "\x02\x03\x04", "\x1b[31m")
AMOUNTS = ("0", "0.00", "1500", "1500.50", "0.000000000001", "999999999999999.99", "null", "49.995")


def records() -> list[dict[str, Any]]:
    """Records of all kinds of costs."""
    return [
        baseline_record(
            number % 28 + 1,
            pfaId=f"H-{number:03}"
            if number % 9
            else f'H,{number} "q" {TEXTS[number % 11]}'.strip(),
            category=TEXTS[number % len(TEXTS)].strip("\x85\u2028\u2029\x7f\u200f\u202e"),
            source="Purchase" if number % 3 == 0 else "Rental",
            purchasePrice=None if number % 4 else 1000.5,
            monthlyRate=3044.1 if number % 5 else None,
            rateUom=("day", None, "week", "28-day")[number % 4],
            currency="EUR" if number % 7 == 3 else None,
            isDiscontinued=number % 11 == 0,
            forecastEnd=None if number % 6 == 5 else "2026-03-31",
            equipment=(TEXTS + CONTROLS)[number % (len(TEXTS) + len(CONTROLS))],
        )
        for number in range(60)
    ]


def deltas(seed: int, names: list[str]) -> list[dict[str, Any]]:
    rng = random.Random(seed)

    def value(field: str) -> Any:
        if field in ("equipment",):
            return rng.choice((*TEXTS, *CONTROLS, None))
        return rng.choice(("Liebherr", "O'Neill", 'a "b", c', "Silo: {x}", "", None))

    made = []
    for pfa_id in names:
        delta: dict[str, Any] = {
            field: value(field)
            for field in rng.sample(
                ["equipment", "manufacturer", "model", "areaSilo"], rng.randint(1, 3)
            )
        }
        if rng.random() < 0.5:
            delta["monthlyRate"] = json.loads(rng.choice(AMOUNTS[:6]))
        if rng.random() < 0.3:
            delta["forecastStart"] = rng.choice(("2026-01-05", "2025-12-31"))
        if rng.random() < 0.2:
            delta["forecastEnd"] = rng.choice(("2027-01-05", "2028-02-29"))
        if rng.random() < 0.2:
            delta["purchasePrice"] = json.loads(rng.choice(AMOUNTS[:6]))
        change: dict[str, Any] = {"pfaId": pfa_id, "delta": delta}
        if rng.random() < 0.6:
            change["changeReason"] = rng.choice((*TEXTS, *CONTROLS))
        made.append(change)
    return made


def drafted(pfa: Pfa) -> None:
    """Drafts of all kinds over every record, a third of them above a committed change."""
    assert pfa("init", "--org", "HOLNG").code == 0
    assert pfa("org", "set", "--currency", "USD").code == 0
    every = records()
    assert pfa("sync", "pull", "--from", write_lines(pfa.folder / "m.jsonl", every)).code in (0, 3)
    ids = [row["pfaId"] for row in pfa("list", "-o", "json", "--all").json["data"]]
    for seed, session, chosen in ((1, "first", ids[::3]), (2, 'sess, "ion"', ids)):
        file = write_lines(pfa.folder / "d.jsonl", deltas(seed, chosen))
        assert pfa("draft", "save", file, "--session", session, "--partial").code in (0, 3)
        if seed == 1:
            assert pfa("commit", "--session", session).code == 0
    with psycopg.connect(pfa.url) as conn:
        conn.execute(
            "UPDATE pfa_mirror SET data = data || %s WHERE pfa_id = 'H-004'",
            (
                '{"equipment": {"a": [1, 2.50]}, "model": [true], "areaSilo": 7, "manufacturer": true}',
            ),
        )
        for state, changes, step in (("committed", BY_PUSH, 1), ("draft", ODD, 2)):
            ids = [
                row[0]
                for row in conn.execute(
                    "SELECT modification_id FROM pfa_modification WHERE state = %s ORDER BY pfa_id",
                    (state,),
                )
            ]
            for modification_id, change in zip(ids[1::step], changes, strict=False):
                conn.execute(
                    f"UPDATE pfa_modification SET {change} WHERE modification_id = %s",
                    (modification_id,),
                )


# States that a push leaves.
BY_PUSH = (
    "state = 'sync_error', sent_version = '7'",
    "state = 'conflict'",
    "state = 'syncing', claim_id = '00000000-0000-4000-8000-0000000000c1', claimed_until = now(),"
    " sent_version = '7'",
    "state = 'synced'",
)
# What no operation writes, and a reader survives.
ODD = (
    """base = base || '{"model": "a", "monthlyRate": 1e399}'""",
    """base = base || '{"model": 5, "monthlyRate": "x"}'""",
    "created_at = '0001-05-05', updated_at = '9999-12-29 23:59:59.9999'",
)

ready = a_stage(drafted)


@pytest.fixture
def by_itself(ready: Pfa) -> Call:
    """The program, which writes each line by itself."""

    def call(*words: str) -> Ran:
        with pytest.MonkeyPatch.context() as patch:
            for module in (view, diff):
                patch.setattr(module, "layout_for", lambda *_: None)
            return ready(*words)

    return call


CASES = (
    *("draft list -o csv", "draft list -o tsv", "draft list -o jsonl", "draft list -o json"),
    *("diff -o csv", "diff -o tsv", "diff -o jsonl", "diff -o json"),
)
OTHERS = (
    *(
        f"draft list {words} -o {output}"
        for words in (
            "--state committed --state conflict --state sync_error --state syncing",
            "--sort -updatedAt,state",
        )
        for output in ("csv", "tsv", "jsonl")
    ),
    "draft list -o csv --columns fields,delta,pfaId",
    "draft list -o tsv --columns fields,delta,pfaId --header",
    "draft list -o csv --columns changeReason",
    "draft list --session first --state committed --limit 7 -o csv",
    "draft list --where 'monthlyRate > 1000' --search H-0 -o csv",
    "draft list --id H-001 --id H-002 -o csv",
    "draft list -o csv --csv-safe",
    "diff -o csv --columns costEffect,after,before,pfaId",
    "diff -o tsv --columns before,changeReason",
    "diff first -o csv --state committed",
    "diff --source Rental --no-discontinued --limit 5 -o csv",
    "diff --sort -forecastStart -o csv",
    "diff --id H-004 -o json",
)


@pytest.mark.parametrize("case", [*CASES, *long(OTHERS)])
def test_the_output_is_what_the_program_writes_by_itself(
    ready: Pfa, by_itself: Call, case: str
) -> None:
    same(ready(*shlex.split(case)), by_itself(*shlex.split(case)))


@pytest.mark.parametrize("case", [CASES[4], *long((*CASES[:4], *CASES[5:]))])
def test_money_is_masked_as_the_program_masks_it(ready: Pfa, by_itself: Call, case: str) -> None:
    words = ("user", "grant", "vic", "--role", "editor", "--without", "view_financials")
    assert ready(*words).code == 0
    token = ready.folder / "vic"
    token.write_text(ready("auth", "issue", "--user", "vic").out)
    token.chmod(0o600)
    with psycopg.connect(ready.url) as conn:
        conn.execute("UPDATE pfa_modification SET user_id = 'vic'")
        conn.execute("UPDATE pfa_overlay SET user_id = 'vic'")
    called = (*shlex.split(case), "--token-file", str(token))
    found = ready(*called)
    assert "money is masked" in found.err
    same(found, by_itself(*called))


def test_most_lines_are_those_of_the_database(ready: Pfa, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    compose = lines.drafts

    def counted(*words: Any, **named: Any) -> Any:
        for batch in compose(*words, **named):
            written.extend(batch)
            yield batch

    monkeypatch.setattr(lines, "drafts", counted)
    assert ready("draft", "list", "-o", "csv").code == 0
    made = sum(isinstance(line, str) for line in written)
    assert (len(written) > 30, 0 < len(written) - made < len(written) / 2) == (True, True)


def same(found: Ran, expected: Ran) -> None:
    assert found.code == expected.code
    assert found.err == expected.err
    assert _timeless(found.out) == _timeless(expected.out)
    assert found.out


def _timeless(text: str) -> str:
    return re.sub(r'"queryTime":[0-9.]+', "", text)
