"""Whatever statement of the application's role is accepted, the law holds after it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from tests.forms import forms, many
from tests.rls.attack.law import Law
from tests.rls.attack.place import Place, a_place
from tests.rls.attack.programs import Bender, replay
from tests.rls.attack.statements import Attack, Generator, carry_out


@pytest.fixture(scope="module")
def place(postgres, template) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch, postgres.database(template) as url:
        patch.setenv("PFA_TEST_BOUND", "1")
        with a_place(url) as made:
            yield made


def attacked(
    place: Place, seed: int, statements: int, real: int
) -> tuple[Counter[str], dict[str, list[str]]]:
    """Attack with so many statements; the accepted ones by kind, and what broke with the attacks that did it."""
    law, generator = Law(place, real), Generator(place, seed)
    accepted: Counter[str] = Counter()
    broken: dict[str, list[str]] = {}
    sent = 0
    with psycopg.connect(place.bound, autocommit=True, prepare_threshold=None) as conn:
        while sent < statements:
            attack = generator.attack()
            sent += len(attack.statements)
            taken = carry_out(conn, attack)
            accepted.update(taken)
            if taken:
                for what in law.broken(attack):
                    broken.setdefault(what.split(": the database")[0], []).append(str(attack))
            conn.execute("DISCARD ALL")
    _require_carried_out(law)
    return accepted, broken


def bent(
    place: Place, seed: int, number: int, real: int
) -> tuple[Counter[str], dict[str, list[str]]]:
    """Send so many transactions of the program with one place bent, in the same way."""
    law, bender = Law(place, real), Bender(place, seed)
    accepted: Counter[str] = Counter()
    broken: dict[str, list[str]] = {}
    with psycopg.connect(place.bound, autocommit=True, prepare_threshold=None) as conn:
        for _ in range(number):
            program = bender.draw()
            if replay(conn, program):
                attack = Attack(program.attacker, program.name)
                found = list(law.broken(attack))
                accepted[f"{program.name}, {'changed' if law.changed else 'nothing'}"] += 1
                for what in found:
                    broken.setdefault(what, []).append(f"{program.name} {program.statements}")
            conn.execute("DISCARD ALL")
    _require_carried_out(law)
    return accepted, broken


def _require_carried_out(law: Law) -> None:
    sys.stdout.write(f"carried out after {law.carried_out} attacks\n")
    assert law.carried_out


@pytest.mark.early
@forms(("statements", "real"), short=(25, 1), long=(many(400, 10_000), many(4, 100)))
def test_the_law_holds_after_whatever_is_accepted(place: Place, statements: int, real: int) -> None:
    seed = int(os.environ.get("PFA_TEST_SEED", "1"))
    accepted, broken = attacked(place, seed, statements, real)
    assert sum(accepted.values()) > statements / 50, accepted
    _require_none(seed, accepted, broken)


@pytest.mark.slow
@forms(("number", "real"), short=(2, 1), long=(many(40, 1000), many(4, 100)))
def test_the_law_holds_after_what_the_program_sends_bent_in_one_place(
    place: Place, number: int, real: int
) -> None:
    seed = int(os.environ.get("PFA_TEST_SEED", "1"))
    accepted, broken = bent(place, seed, number, real)
    assert (
        sum(times for name, times in accepted.items() if name.endswith("changed")) > number / 50
    ), accepted
    _require_none(seed, accepted, broken)


def _require_none(seed: int, accepted: Counter[str], broken: dict[str, list[str]]) -> None:
    shown = "\n".join(
        f"{len(by)} × {what}\n      {by[0][:1200]}" for what, by in sorted(broken.items())
    )
    said = (
        f"seed {seed}, accepted {sum(accepted.values())}: {dict(accepted.most_common())}\n{shown}\n"
    )
    sys.stdout.write(said)
    assert not broken, said


@pytest.mark.long
def test_the_law_finds_what_is_broken(place: Place) -> None:
    """What the owner does in another's name is found, clause by clause; and is put back."""
    law = Law(place)
    attack = Generator(place, 0).attack()
    attack.attacker = next(one for one in place.attackers if one.name == "viewer")
    for statement, clause in (
        (
            "UPDATE pfa_modification SET delta = '{\"model\": \"FORGED\"}' WHERE user_id = 'ann'",
            "1: drafts of ann",
        ),
        (
            "UPDATE pfa_modification SET delta = '{\"model\": \"FORGED\"}' WHERE user_id = 'ann'",
            "2: another's",
        ),
        (
            "UPDATE pfa_member SET rights = rights || '{manage_users}' WHERE user_id = 'vic'",
            "3: vic gained",
        ),
        ("UPDATE pfa_mirror SET pems_revision = 'x'", "3: pfa_mirror without"),
        ("DELETE FROM audit_log", "4: the chain"),
        ("UPDATE pfa_view SET content = '{}' WHERE user_id = 'ben'", "3: a view of ben"),
        ("DELETE FROM pfa_view WHERE user_id = ''", "3: a shared view without save_draft"),
        ("UPDATE pfa_view SET content = '{}'", "2: a view saved by another"),
        ("DELETE FROM pfa_view", "4: pfa_view changed"),
        ("DELETE FROM pfa_token WHERE token_id = 'kept ben'", "4: pfa_token changed"),
    ):
        place.rows(statement)
        found = list(law.broken(attack))
        assert any(one.startswith(clause) for one in found), (statement, found)
        assert place.digests() == law.digests
