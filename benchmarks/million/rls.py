"""The cost of row-level security: the same reads as the application's role and as the owner.

python -m benchmarks.million.rls --records 200000
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pfa_core
from benchmarks.million import data, world
from benchmarks.million.measure import Figure, interleaved, options, report, timed
from pfa_core import Database, Filters, Principal, Query
from pfa_core.access.tokens import jwt, keyring
from pfa_core.authorization import authorize
from pfa_core.config.settings import Secret
from pfa_core.model.principal import Role
from pfa_core.model.query import parse_sort
from pfa_core.model.rights import Operation
from pfa_core.store import signing_keys
from pfa_core.store.reads import merged

Result = TypeVar("Result")
MOST = 1.2  # times what it costs without
RING = keyring.Keyring(
    (keyring.SigningKey(Secret("the key of a measurement and of nothing else")),)
)
CRANES = Query(Filters(category=("Mobile Crane",)))


def main() -> int:
    return report(_measured, options(__doc__, records=200_000, rounds=31).parse_args())


def _measured(temporary: Path, folder: Path, given: argparse.Namespace) -> Iterator[Figure]:
    root = temporary / "pfa"
    with world.opened(root) as owner, Database(None, root) as app:
        world.prepare(owner, folder)
        owner.transact(_know_the_key)
        path = data.write(folder / "big.jsonl", data.BIG, given.records)
        yield from _pulls(app, owner, path)
        world.draft(owner, "many", given.records)
        owner.administer(lambda conn: conn.execute("VACUUM ANALYZE"))
        who = signed_in(world.principal("many"))
        for name, work in _works(given.records // 10).items():
            own, beside = interleaved(
                lambda work=work: work(app, who), lambda work=work: work(owner, who), given.rounds
            )
            yield Figure(name, "the same as the owner", own, beside, MOST)


def _pulls(app: Database, owner: Database, path: Path) -> Iterator[Figure]:
    who = signed_in(world.principal("writer"))
    taken = []
    for db in (owner, app):
        taken.append(timed(lambda db=db: pfa_core.pull_files(db, who, [str(path)])))
        if db is owner:
            owner.administer(
                lambda conn: conn.execute("TRUNCATE pfa_mirror, pfa_mirror_history, kpi_rollup")
            )
    yield Figure("pull into an empty mirror", "the same as the owner", taken[1], taken[0], MOST)


def _works(deep: int) -> dict[str, Callable[[Database, Principal], object]]:
    def page(query: Query) -> Callable[..., object]:
        return lambda db, who: pfa_core.list_records(db, who, query)

    def search(text: str) -> Query:
        return Query(Filters(search=text))

    def stats(filters: Filters) -> Callable[..., object]:
        return lambda db, who: pfa_core.compute_stats(db, who, filters)

    many = search("tower crane")
    return {
        "authorization": _reading(lambda _conn, _who: None),
        "a page of a category": page(CRANES),
        "a page, 2,000 records deep": lambda db, who: pfa_core.list_records(db, who, CRANES, page=20),
        f"a page behind a cursor, {deep:,} deep": _behind("forecastStart", deep),
        f"a page by money behind a cursor, {deep:,} deep": _behind("monthlyRate", deep),
        "a page by money": page(Query(sort=parse_sort("-monthlyRate"))),
        "a search, few": page(search("EQ-00012")),
        "a search, none": page(search("zzzqqq")),
        "a search, many": page(many),
        "a total of a search, many": _reading(lambda conn, who: merged.count(conn, who, many)),
        "KPIs": stats(Filters()),
        "KPIs of a search, many": stats(many.filters),
    }  # fmt: skip


def _reading(work: Callable[[Any, Principal], Result]) -> Callable[[Database, Principal], Result]:
    def read(db: Database, who: Principal) -> Result:
        return db.read(
            lambda conn: (authorize(conn, who, Operation.LIST_RECORDS), work(conn, who))[1]
        )

    return read


def _behind(sort: str, deep: int) -> Callable[[Database, Principal], object]:
    """A page behind a cursor, which is found once."""
    query = Query(sort=parse_sort(sort))
    found: list[str] = []

    def page(db: Database, who: Principal) -> object:
        if not found:
            place = _reading(lambda conn, who: merged.page(conn, who, query, limit=1, offset=deep))
            found.append(place(db, who)[1] or "")
        return pfa_core.list_records(db, who, replace(query, after=found[0]))

    return page


def signed_in(principal: Principal) -> Principal:
    """The principal with a token that the database takes."""
    now = datetime.now(UTC)
    grant = jwt.Grant(Role.ADMIN, principal.rights)
    claims = jwt.Claims(
        user_id=principal.user_id,
        token_id="t",
        issued_at=now,
        expires_at=now + timedelta(days=1),
        organizations={principal.organization_id: grant},
    )
    return replace(principal, token=Secret(jwt.sign(claims, RING)))


def _know_the_key(conn: Any) -> None:
    key = RING.signing
    new = signing_keys.NewKey(key.key_id, key.secret.reveal(), None)
    signing_keys.register(conn, [new], datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
