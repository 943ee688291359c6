"""Received records beside the mirror's: which may be older, by the texts of their versions."""

from __future__ import annotations

import json

from pfa_core.model.pems_version import is_older
from pfa_core.store import comparison, mirror
from tests.factories import a_world, record
from tests.model.test_pems_version import INCOMPARABLE, OLDER

# One record has no version, of whatever form the other's is.
WITHOUT = [pair for text in ("2026-11-01", "1-02", "17") for pair in ((None, text), (text, None))]
WITHOUT += [(None, "2026-11-01T08:00:00+02:00"), ("2026-11-01T08:00:00Z", None), (None, None)]


def test_every_version_that_is_older_is_found_and_a_later_one_of_the_same_form_is_not(database_url):
    pairs = [*OLDER, *[(second, first) for first, second in OLDER], *INCOMPARABLE, *WITHOUT]
    ids = [f"P-{place:03}" for place in range(len(pairs))]
    held = [record(name, pemsVersion=pair[1]) for name, pair in zip(ids, pairs, strict=True)]
    world = a_world(database_url, *held)

    def found(conn):
        came = [record(name, pemsVersion=pair[0]) for name, pair in zip(ids, pairs, strict=True)]
        mirror.copy_incoming(conn, [(row["pfaId"], json.dumps(row), None) for row in came])
        return {row.pfa_id for row in comparison.older(conn, "ORG")}

    candidates = world.owner.transact(found, dry_run=True)
    older = {
        name for name, pair in zip(ids, pairs, strict=True) if None not in pair and is_older(*pair)
    }
    assert len(older) == len(OLDER)
    assert older <= candidates
    alike = {ids[len(OLDER)], ids[len(OLDER) + 1]}
    assert not alike & candidates
    assert not {*ids[-len(WITHOUT) :]} & candidates
