"""UUID version 7."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from pfa_core.model.ids import counting_from, new_id, utc_now, uuid7

SEVENTY = datetime(1970, 1, 1, tzinfo=UTC)
instants = st.timedeltas(timedelta(0), timedelta(days=230 * 365)).map(lambda age: SEVENTY + age)
randomness = st.integers(0, 2**62 - 1)


@given(instants, randomness)
def test_an_id_bears_the_marks_of_version_7(at, bits):
    made = uuid7(at, bits)
    assert made.version == 7
    assert made.int >> 62 & 0b11 == 0b10


@given(instants, randomness)
def test_an_id_holds_its_millisecond_and_all_of_its_randomness(at, bits):
    made = uuid7(at, bits)
    assert abs((made.int >> 80) - at.timestamp() * 1000) <= 1
    assert made.int & (1 << 62) - 1 == bits


@given(instants, st.integers(1, 10_000), randomness, randomness)
def test_an_id_of_a_later_microsecond_sorts_behind_as_number_and_as_text(at, gap, one, other):
    earlier, later = uuid7(at, one), uuid7(at + timedelta(microseconds=gap), other)
    assert earlier < later
    assert str(earlier) < str(later)


def test_fresh_ids_are_of_now_and_all_different():
    before = utc_now()
    made = {new_id() for _ in range(1000)}
    after = utc_now()
    assert len(made) == 1000
    assert all(
        before.timestamp() * 1000 - 1 <= one.int >> 80 <= after.timestamp() * 1000 for one in made
    )


def test_now_has_a_zone():
    assert utc_now().tzinfo is UTC


def test_the_zone_in_which_an_instant_is_told_does_not_matter():
    at = datetime(2025, 12, 10, 12, tzinfo=UTC)
    assert uuid7(at, 5) == uuid7(at.astimezone(timezone(timedelta(hours=9))), 5)


@given(st.uuids(), st.uuids())
def test_runs_of_ids_begin_with_the_time_and_never_alike(one, other):
    begin = counting_from(one)
    first = UUID(f"{begin}{1:08x}")
    assert (first.version, first.variant) == (7, RFC_4122)
    assert first.int >> 80 == one.int >> 80
    assert one == other or counting_from(other) != begin


def test_not_even_ids_that_only_count_begin_runs_alike():
    assert len({counting_from(UUID(int=number)) for number in range(1000)}) == 1000
