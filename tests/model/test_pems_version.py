"""Which of two versions of PEMS is the older one, and which texts say nothing about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfa_core.model.pems_version import is_older

OLDER = [
    ("2026-11-01T08:00:00Z", "2026-11-01T08:00:01Z"),
    ("2026-11-01T08:00:00.100Z", "2026-11-01T08:00:00.200Z"),
    ("2026-11-01T08:00:00Z", "2026-11-01T08:00:01.000Z"),
    ("2026-11-01T10:00:00+02:00", "2026-11-01T08:00:01Z"),
    ("2026-11-01T08:00:00", "2026-11-01T08:00:01"),
    ("2026-11-01", "2026-11-02"),
    ("2026-11-01 08:00:00", "2026-11-01 08:00:01"),
    ("2026-11-01", "2026-11-02T08:00:00"),
    ("2026-11-01T08:00:00+0200", "2026-11-01T08:00:00+0000"),
    ("2026-11-01T08:00:00+02", "2026-11-01T08:00:00+00"),
    ("17", "18"),
    ("9", "17"),
    ("20261101", "20261102"),
    ("1761999999999", "1762000000000"),
    ("0019", "020"),
]
INCOMPARABLE = [
    ("2026-11-01T08:00:00Z", "2026-11-01T08:00:00.900Z"),  # one has no fraction
    ("2026-11-01T08:00:00Z", "2026-11-01T10:00:00+02:00"),  # the same instant
    ("2026-11-01T08:00:00", "2026-11-02T08:00:00Z"),  # one has no zone
    ("2026-11-01 08:00:00", "2026-11-01T09:00:00"),
    ("17", "0017"),
    ("20261101", "2026-11-02"),
    ("-18", "17"),
    ("17", "18.5"),
    ("\u0661\u0667", "18"),
    ("9" * 5000, "1" + "0" * 5000),
    ("01-NOV-2026 08:00", "02-NOV-2026 08:00"),
    ("2026-02-30T08:00:00Z", "2026-11-02T08:00:00Z"),
    ("", "2026-11-02T08:00:00Z"),
]


@pytest.mark.parametrize(("version", "than"), OLDER)
def test_an_earlier_instant_is_older_and_not_the_other_way_round(version, than):
    assert is_older(version, than)
    assert not is_older(than, version)


@pytest.mark.parametrize(("version", "than"), INCOMPARABLE)
def test_neither_is_older_where_both_are_not_different_instants(version, than):
    assert not is_older(version, than)
    assert not is_older(than, version)


# Bounds without a zone: the strategy adds it.
FIRST, LAST = datetime(1971, 1, 1), datetime(2099, 12, 31)  # noqa: DTZ001


@given(
    st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    st.integers(-1_000_000_000, 1_000_000_000),
    st.integers(-14, 14),
)
def test_any_zone_gives_the_order_of_the_instants(first, microseconds, hours):
    second = (first + timedelta(microseconds=microseconds)).astimezone(
        timezone(timedelta(hours=hours))
    )
    texts = [moment.isoformat(timespec="microseconds") for moment in (first, second)]
    assert is_older(*texts) == (first < second)
