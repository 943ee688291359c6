"""Whose write moved a record on: judged by version, writer and fields."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pfa_core.model.exchange import Reading
from pfa_core.sync.push.arrival import Origin, Sent, origin_of

BEFORE = Reading("1", {"model": "M0", "monthlyRate": 1100, "pemsVersion": "t1"}, "eve")
SENT = Sent(
    version="1",
    changes={"monthlyRate": 1200},
    names=frozenset(("ann", "svc")),
    before=BEFORE,
    known={"monthlyRate": 1100},
    recorded="1",
)
LATER = replace(SENT, before=None)


def shown(by: str, version: str = "2", **values: object) -> Reading:
    return Reading(version, {**BEFORE.record, "pemsVersion": "t2", **values}, by)


@pytest.mark.parametrize(
    ("sent", "now", "origin"),
    [
        (SENT, shown("ann", monthlyRate=1201), Origin.OWN),
        (SENT, shown("svc", monthlyRate=1201), Origin.OWN),
        (SENT, shown("ann"), Origin.OWN),
        (LATER, shown("ann", monthlyRate=1201), Origin.OWN),
        (SENT, shown("ann", monthlyRate=1201, model="M1"), Origin.UNKNOWN),
        (SENT, shown("ann", "3", monthlyRate=1201), Origin.UNKNOWN),
        (replace(LATER, recorded="2"), shown("svc", monthlyRate=1300), Origin.UNKNOWN),
        (SENT, shown("bob", monthlyRate=1201), Origin.OTHER),
        (SENT, shown("bob", "3", monthlyRate=1201), Origin.UNKNOWN),
        (SENT, shown("", monthlyRate=1201), Origin.UNKNOWN),
        (LATER, shown("", monthlyRate=1201), Origin.UNKNOWN),
        (SENT, shown("", model="M1"), Origin.OTHER),
        (LATER, shown("", model="M1"), Origin.OTHER),
        (replace(LATER, known={}), shown("", model="M1"), Origin.UNKNOWN),
    ],
)
def test_of_a_service_with_versions(sent: Sent, now: Reading, origin: Origin) -> None:
    assert origin_of(sent, now, consecutive=True) == origin


@pytest.mark.parametrize(
    ("sent", "now", "origin"),
    [
        (SENT, shown("svc", "1793520000000", monthlyRate=1201), Origin.OWN),
        (SENT, shown("svc", "2", monthlyRate=1201, model="M1"), Origin.UNKNOWN),
        (SENT, shown("bob", "2", monthlyRate=1201), Origin.UNKNOWN),
        (SENT, shown("", "2", monthlyRate=1201), Origin.UNKNOWN),
        (LATER, shown("svc", "2", monthlyRate=1201), Origin.UNKNOWN),
    ],
)
def test_of_a_service_whose_versions_are_times(sent: Sent, now: Reading, origin: Origin) -> None:
    assert origin_of(sent, now, consecutive=False) == origin
