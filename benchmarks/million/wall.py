"""What the wall costs: the same reads as the application's role, and as the owner whom it does not hold off.

python -m benchmarks.million.wall --records 200000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pfa_core
from benchmarks.million import data, world
from benchmarks.million.measure import HEADER, Figure, interleaved
from pfa_core import Database, Filters, Principal, Query, keys, tokens
from pfa_core.guard import enter
from pfa_core.model.principal import Right, Role
from pfa_core.model.query import parse_sort
from pfa_core.settings import Secret
from pfa_core.store import embedded, records, signing_keys

MOST = 1.2  # times what it costs without
RING = keys.Keyring((keys.SigningKey(Secret("the key of a measurement and of nothing else")),))
CRANES = Query(Filters(category=("Mobile Crane",)))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=31)
    given = parser.parse_args()
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as temporary:
        Path(temporary).chmod(0o755)  # as root the server runs under a service user
        root = Path(temporary) / "pfa"
        try:
            for figure in _measured(root, Path(temporary), given.records, given.rounds):
                print(figure.row(), flush=True)
        finally:
            with suppress(Exception):
                embedded.stop(root)
    return 0


def _measured(root: Path, folder: Path, size: int, rounds: int) -> Iterator[Figure]:
    with Database(None, root, owner=True) as owner, Database(None, root) as app:
        world.prepare(owner, folder)
        owner.transact(_know_the_key)
        path = data.write(folder / "big.jsonl", data.BIG, size)
        yield from _pulls(app, owner, path)
        world.draft(owner, "many", size)
        owner.administer(lambda conn: conn.execute("VACUUM ANALYZE"))
        who = signed_in(world.principal("many"))
        for name, work in _works().items():
            ours, beside = interleaved(
                lambda work=work: work(app, who), lambda work=work: work(owner, who), rounds
            )
            yield Figure(name, "the same as the owner", ours, beside, MOST)


def _pulls(app: Database, owner: Database, path: Path) -> Iterator[Figure]:
    who = signed_in(world.principal("writer"))
    taken = []
    for db in (owner, app):
        _, seconds = _timed(lambda db=db: pfa_core.pull_files(db, who, [str(path)]))
        taken.append(seconds)
        if db is owner:
            owner.administer(
                lambda conn: conn.execute("TRUNCATE pfa_mirror, pfa_mirror_history, kpi_rollup")
            )
    yield Figure("pull into an empty mirror", "the same as the owner", taken[1], taken[0], MOST)


def _works() -> dict[str, Callable[[Database, Principal], object]]:
    def reading(work: Callable[[Any, Principal], object]) -> Callable[..., object]:
        return lambda db, who: db.read(lambda conn: (enter(conn, who, Right.READ), work(conn, who)))

    def page(query: Query) -> Callable[..., object]:
        return lambda db, who: pfa_core.list_records(db, who, query)

    def count(query: Query) -> Callable[..., object]:
        return reading(lambda conn, who: records.count(conn, who, query))

    def search(text: str) -> Query:
        return Query(Filters(search=text))

    def deep(sort: str) -> Callable[..., object]:
        query = Query(sort=parse_sort(sort))

        def work(conn: Any, who: Principal) -> object:
            _, cursor = records.page(conn, who, query, limit=1, offset=20_000)
            return cursor

        cursors: list[str] = []

        def turn(db: Database, who: Principal) -> object:
            if not cursors:
                cursors.append(
                    str(db.read(lambda conn: (enter(conn, who, Right.READ), work(conn, who))[1]))
                )
            return pfa_core.list_records(db, who, replace(query, after=cursors[0]))

        return turn

    def stats(filters: Filters) -> Callable[..., object]:
        return lambda db, who: pfa_core.compute_stats(db, who, filters)

    return {
        "coming in": reading(lambda _conn, _who: None),
        "a page of a category": page(CRANES),
        "a page, 2,000 records deep": lambda db, who: pfa_core.list_records(db, who, CRANES, page=20),
        "a page behind a cursor, 20,000 deep": deep("forecastStart"),
        "a page by money behind a cursor, 20,000 deep": deep("monthlyRate"),
        "a page by money": page(Query(sort=parse_sort("-monthlyRate"))),
        "a search, few": page(search("EQ-00012")),
        "a search, none": page(search("zzzqqq")),
        "a search, many": page(search("tower crane")),
        "a total of a search, many": count(search("tower crane")),
        "KPIs": stats(Filters()),
        "KPIs of a search, many": stats(Filters(search="tower crane")),
    }  # fmt: skip


def signed_in(principal: Principal) -> Principal:
    """The principal with a token that the database takes."""
    now = datetime.now(UTC)
    grant = tokens.Grant(Role.ADMIN, principal.rights)
    claims = tokens.Claims(
        principal.user_id, "t", now, now + timedelta(days=1), {principal.organization_id: grant}
    )
    return replace(principal, token=Secret(tokens.sign(claims, RING)))


def _know_the_key(conn: Any) -> None:
    key = RING.signing
    new = signing_keys.NewKey(key.key_id, key.secret.reveal(), None)
    signing_keys.register(conn, [new], datetime.now(UTC))


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = datetime.now(UTC)
    return work(), (datetime.now(UTC) - began).total_seconds()


if __name__ == "__main__":
    sys.exit(main())
