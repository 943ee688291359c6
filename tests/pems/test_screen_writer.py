"""The screen writer: typed values there and back, the look before the update, alerts by their words."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pfa_core.model.exchange import Applied, Failure, Moved, Reading, RetryAdvice, Write
from pfa_core.model.record import FIELDS
from pfa_core.pems.mapping.field_map import DEFAULT_SCREEN_FIELDS, FieldMap
from pfa_core.pems.mapping.steps import Chain
from pfa_core.pems.mapping.transforms import read_step
from pfa_core.pems.profile import ScreenSettings, WriterKind
from pfa_core.pems.sandbox.server import Sandbox
from pfa_core.pems.services.screen_values import (
    ScreenFault,
    offset_minutes,
    read_typed,
    stamp_of,
    write_typed,
)
from pfa_core.pems.services.writer import open_writer
from tests.model.strategies import clean_deltas, money, storable_texts
from tests.pems.edge import CANARY, answering, http_answer, profile
from tests.pems.sandbox_client import record

ZONES = ["-0500", "+0000", "+0530", "-0330", "+1400", "-1200"]
NOT_ON_THE_SCREEN = {"actualStart", "actualEnd"}


def do(url: str, action, **changes):
    with open_writer(profile(url, writer=WriterKind.SCREEN, **changes)) as writer:
        return action(writer)


def written(version: str, **changes) -> Write:
    return Write(
        pfa_id="R-1",
        changes=changes or {"monthlyRate": 5},
        version=version,
        key="k1",
        modified_by="ann",
        reason="weather",
    )


def version_of(url: str) -> str:
    found = do(url, lambda writer: writer.read("R-1"))
    assert isinstance(found, Reading)
    return found.version


@pytest.fixture
def sandbox():
    with Sandbox(organization="RIO", records=[record(1)]) as running:
        yield running


def test_a_reading_holds_the_fields_of_the_screen_in_the_form_of_the_mirror(sandbox):
    found = do(sandbox.url, lambda writer: writer.read("R-1"))
    assert isinstance(found, Reading)
    held = sandbox.record("R-1").data
    shown = {name: held.get(name) for name in DEFAULT_SCREEN_FIELDS.values()}
    assert found.record == {
        **shown,
        "organization": "RIO",
        "pemsVersion": "2026-11-01T08:00:00.000Z",
    }
    assert (found.version, found.updated_by) == ("1793520000000", "")


def test_an_update_is_applied_and_tells_when(sandbox):
    version = version_of(sandbox.url)
    found = do(sandbox.url, lambda writer: writer.write(written(version, monthlyRate=7)))
    assert isinstance(found, Applied)
    assert found.stamp == sandbox.record("R-1").updated_at
    assert found.version == version_of(sandbox.url)
    after = do(sandbox.url, lambda writer: writer.read("R-1"))
    assert (after.record["monthlyRate"], after.updated_by) == (7, "ann")
    entry = sandbox.log[0].write
    assert (entry.writer, entry.by, dict(entry.changes)) == ("screen", "ann", {"monthlyRate": 7})


def test_an_update_is_not_sent_once_another_user_was_there(sandbox):
    version = version_of(sandbox.url)
    sandbox.change("R-1", model="X")
    found = do(sandbox.url, lambda writer: writer.write(written(version)))
    assert found == Moved(version_of(sandbox.url))
    assert len(sandbox.log) == 1


def test_null_clears_a_field(sandbox):
    version = version_of(sandbox.url)
    change = written(version, monthlyRate=None, forecastStart=None, equipment=None)
    assert isinstance(do(sandbox.url, lambda writer: writer.write(change)), Applied)
    held = sandbox.record("R-1").data
    assert [held[name] for name in change.changes] == [None, None, None]


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(delta=clean_deltas, zone=st.sampled_from(ZONES))
def test_what_is_written_is_what_is_read_in_any_zone(sandbox, delta, zone):
    sent = {
        name: value
        for name, value in delta.items()
        # The screen's texts know neither blanks around nor the word null.
        if name not in NOT_ON_THE_SCREEN
        and not (isinstance(value, str) and (value.strip() != value or value == "null"))
    }
    assume(sent)
    screen = ScreenSettings(timezone=zone)
    with open_writer(profile(sandbox.url, writer=WriterKind.SCREEN, screen=screen)) as writer:
        before = writer.read("R-1")
        assert isinstance(before, Reading)
        found = writer.write(
            Write(pfa_id="R-1", changes=sent, version=before.version, key="", modified_by="ann")
        )
        assert isinstance(found, Applied), found
        after = writer.read("R-1")
    assert isinstance(after, Reading)
    assert after.version == found.version
    for name, value in sent.items():
        assert after.record[name] == value or not (after.record[name] or value)
        stored = sandbox.record("R-1").data[name]
        assert stored == value or not (stored or value)


OFFSETS = st.integers(-14 * 60, 14 * 60)


@given(st.dates(), OFFSETS)
@example(date.min, 14 * 60)
@example(date.max, -14 * 60)
def test_every_day_of_the_calendar_comes_back_in_every_zone(day, offset):
    field = FIELDS["forecastStart"]
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}{abs(offset) % 60:02}"
    assert offset_minutes(zone) == offset
    typed = write_typed(field, day.isoformat(), zone)
    assert (typed["DATETIMEDATA"]["MONTH"], typed["DATETIMEDATA"]["DAY"]) == (day.month, day.day)
    assert read_typed(field, typed, offset) == day.isoformat()


@given(money)
@example(Decimal("1E+2"))
@example(Decimal("1E-12"))
@example(Decimal("999999999999999.999999999999"))
@example(Decimal("0.00"))
def test_money_comes_back_with_its_decimals(value):
    field = FIELDS["monthlyRate"]
    typed = write_typed(field, value, "-0500")
    number = typed["NUMERICDATA"]
    assert number["NUMOFDEC"] == max(0, -Decimal(value).as_tuple().exponent)
    assert "E+" not in str(number["VALUE"])
    assert read_typed(field, typed, 0) == value


@given(storable_texts)
def test_texts_come_back_as_they_are(text):
    field = FIELDS["equipment"]
    assert read_typed(field, write_typed(field, text, "-0500"), 0) == text


def test_flags_are_the_words_true_and_false():
    field = FIELDS["isActualized"]
    for value, text in ((True, "true"), (False, "false")):
        assert write_typed(field, value, "-0500") == {"TEXTDATA": text}
        assert read_typed(field, {"TEXTDATA": text}, 0) is value


MIDNIGHT = 1_772_668_800_000  # 2026-03-05T00:00:00Z


@pytest.mark.parametrize(
    ("content", "day"),
    [
        ({"YEAR": MIDNIGHT + 5 * 3_600_000}, "2026-03-05"),
        ({"YEAR": str(MIDNIGHT)}, "2026-03-04"),
        ({"YEAR": MIDNIGHT, "MONTH": 3, "DAY": 4}, "2026-03-04"),
        ({"YEAR": MIDNIGHT, "MONTH": "03", "DAY": "05"}, "2026-03-05"),
        ({"YEAR": MIDNIGHT - 3_600_000, "MONTH": 3, "DAY": 5, "TIMEZONE": "+0100"}, "2026-03-05"),
        ({"YEAR": None}, None),
        ({}, None),
    ],
)
def test_a_day_is_that_of_pemss_zone_unless_month_and_day_say_otherwise(content, day):
    assert read_typed(FIELDS["forecastStart"], {"DATETIMEDATA": content}, -300) == day


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("forecastStart", {"DATETIMEDATA": {"YEAR": MIDNIGHT, "MONTH": 7, "DAY": 5}}),
        ("forecastStart", {"DATETIMEDATA": {"YEAR": 10**17}}),
        ("forecastStart", {"DATETIMEDATA": {"YEAR": "soon"}}),
        ("forecastStart", {"DATETIMEDATA": {"YEAR": True}}),
        ("forecastStart", {"DATETIMEDATA": 5}),
        ("forecastStart", {"TEXTDATA": "2026-01-01"}),
        ("monthlyRate", {"TEXTDATA": "5"}),
        ("monthlyRate", {"NUMERICDATA": {"VALUE": "much"}}),
        ("monthlyRate", {"NUMERICDATA": {"VALUE": True}}),
        ("model", {"TEXTDATA": 5}),
        ("model", "text"),
        ("isActualized", {"TEXTDATA": "perhaps"}),
    ],
)
def test_a_value_of_another_form_is_refused(name, value):
    with pytest.raises(ScreenFault, match=name):
        read_typed(FIELDS[name], value, 0)


def test_a_negative_number_stays_negative_and_is_refused_as_a_record():
    typed = {"NUMERICDATA": {"VALUE": 5, "SIGN": "-"}}
    assert read_typed(FIELDS["monthlyRate"], typed, 0) == -5


@pytest.mark.parametrize(
    ("version", "stamp"),
    [
        ("0", "1970-01-01T00:00:00.000Z"),
        ("1793520000007", "2026-11-01T08:00:00.007Z"),
        ("-1", "1969-12-31T23:59:59.999Z"),
        ("", ""),
        ("9" * 18, ""),
    ],
)
def test_a_stamp_is_rfc_3339_with_milliseconds(version, stamp):
    assert stamp_of(version) == stamp


@pytest.mark.parametrize("zone", ["", "0500", "-5", "EST", "+2400", "-05:00", "+0060"])
def test_what_is_no_zone_is_refused(zone):
    with pytest.raises(ScreenFault):
        offset_minutes(zone)


FAULTS = [
    ("423", "LOCKED", RetryAdvice.RETRY, False, 0),
    ("425", "SERVER_ERROR", RetryAdvice.RETRY, True, 0),
    ("429:retry-after=3", "RATE_LIMIT", RetryAdvice.SLOW_DOWN, False, 0),
    ("500", "SERVER_ERROR", RetryAdvice.RETRY, True, 0),
    ("503", "SERVICE_UNAVAILABLE", RetryAdvice.RETRY, True, 0),
    ("reset-before", "NO_ANSWER", RetryAdvice.RETRY, True, 0),
    ("alert", "PEMS_REJECTED", RetryAdvice.RETRY, True, 0),
    ("reset-after", "NO_ANSWER", RetryAdvice.RETRY, True, 1),
    ("truncate", "NO_ANSWER", RetryAdvice.RETRY, True, 1),
    ("slow:pause=40ms", "NO_ANSWER", RetryAdvice.RETRY, True, 1),
]


@pytest.mark.parametrize(("fault", "code", "advice", "maybe", "applied"), FAULTS)
def test_an_update_without_answer_may_have_been_applied(
    sandbox, fault, code, advice, maybe, applied
):
    version = version_of(sandbox.url)
    sandbox.faults = [f"{fault}:times=1:after=1"]
    found = do(sandbox.url, lambda writer: writer.write(written(version)), timeout=0.3)
    assert isinstance(found, Failure)
    assert (found.code, found.advice, found.maybe_applied) == (code, advice, maybe)
    assert len(sandbox.log) == applied


@pytest.mark.parametrize("fault", [fault for fault, *_ in FAULTS])
def test_when_the_look_before_gets_no_answer_nothing_was_sent(sandbox, fault):
    version = version_of(sandbox.url)
    for action in (lambda writer: writer.write(written(version)), lambda w: w.read("R-1")):
        sandbox.faults = [f"{fault}:times=1"]
        found = do(sandbox.url, action, timeout=0.3)
        assert isinstance(found, Failure)
        assert not found.maybe_applied
    assert sandbox.log == ()


@pytest.mark.parametrize(
    ("message", "code", "advice", "maybe"),
    [
        ("The record was not found", "NOT_FOUND", RetryAdvice.NONE, False),
        ("Authorization failed", "PEMS_REJECTED", RetryAdvice.NONE, False),
        ("You are not authorized", "PEMS_REJECTED", RetryAdvice.NONE, False),
        ("Class is not a valid value", "PEMS_REJECTED", RetryAdvice.NONE, False),
        ("Deadlock", "PEMS_REJECTED", RetryAdvice.RETRY, True),
    ],
)
def test_alerts_are_distinguished_by_their_words(message, code, advice, maybe):
    body = json.dumps({"ErrorAlert": [{"Message": message, "Name": "X"}]}).encode()
    with answering(http_answer("200 OK", body)) as url:
        found = do(url, lambda writer: writer._ask("UPDATE", "R-1", {"model": "X"}))
    assert (found.code, found.advice, found.maybe_applied) == (code, advice, maybe)
    assert message in found.message


def test_a_record_that_is_not_there_is_not_found(sandbox):
    for action in (
        lambda writer: writer.read("R-9"),
        lambda writer: writer.write(
            Write(pfa_id="R-9", changes={"model": "X"}, version="1", key="", modified_by="ann")
        ),
    ):
        found = do(sandbox.url, action)
        assert (found.code, found.advice) == ("NOT_FOUND", RetryAdvice.NONE)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"Result":{"ResultData":{"UserDefinedScreenService":{}}}}'],
)
def test_what_is_no_answer_of_a_screen_is_a_failure(body):
    with answering(http_answer("200 OK", body)) as url:
        found = do(url, lambda writer: writer.read("R-1"))
    assert (found.code, found.advice, found.maybe_applied) == (
        "PEMS_PROTOCOL",
        RetryAdvice.RETRY,
        False,
    )


def test_fields_that_the_screen_does_not_have_or_cannot_hold_are_named(sandbox):
    chains = FieldMap(chains={"model": Chain((read_step({"substring": {"start": 1}}),))})
    with open_writer(profile(sandbox.url, writer=WriterKind.SCREEN, field_map=chains)) as writer:
        assert writer.reads_first
        assert "actualStart" in writer.unwritable({"actualStart": "2026-01-01"})
        assert "model" in writer.unwritable({"model": "X"})
        assert writer.unwritable({"category": "X", "model": None}) == ""
        found = writer.write(written("1", actualStart="2026-01-01"))
    assert (found.code, found.advice) == ("UNWRITABLE", RetryAdvice.NONE)


def test_units_are_pemss_on_the_screen_and_ours_in_the_reading(sandbox):
    chains = FieldMap(chains={"monthlyRate": Chain((read_step({"divide": 100}),))})
    with open_writer(profile(sandbox.url, writer=WriterKind.SCREEN, field_map=chains)) as writer:
        before = writer.read("R-1")
        assert before.record["monthlyRate"] == 10
        change = written(before.version, monthlyRate=Decimal("12.34"))
        assert isinstance(writer.write(change), Applied)
        assert sandbox.record("R-1").data["monthlyRate"] == 1234
        assert writer.read("R-1").record["monthlyRate"] == Decimal("12.34")


@pytest.mark.parametrize("pfa_id", ["a/b", "50%", "a?b#c", "a b", "Zürich-仮", ".."])
def test_any_id_reaches_its_own_record(pfa_id):
    with Sandbox(organization="RIO", records=[record(1, pfaId=pfa_id)]) as sandbox:
        found = do(sandbox.url, lambda writer: writer.read(pfa_id))
        assert found.record["pfaId"] == pfa_id


def test_pems_may_call_the_organization_otherwise():
    with Sandbox(organization="PEMS-RIO", records=[record(1)]) as sandbox:
        found = do(sandbox.url, lambda writer: writer.read("R-1"), organization="PEMS-RIO")
        assert found.record["organization"] == "RIO"


def test_wrong_credentials_stop_and_show_no_password():
    with Sandbox(organization="RIO", username="ann", password="other") as sandbox:
        found = do(sandbox.url, lambda writer: writer.read("R-1"))
    assert (found.code, found.advice) == ("UNAUTHORIZED", RetryAdvice.STOP)
    assert CANARY not in repr(found)
