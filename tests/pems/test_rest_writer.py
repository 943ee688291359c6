"""The REST writer: readings in the units of the mirror, writes with version and key, conflicts, failures."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings

from pfa_core.model.exchange import Applied, Failure, Moved, Reading, RetryAdvice, Write
from pfa_core.pems.mapping.field_map import FieldMap
from pfa_core.pems.mapping.steps import Chain
from pfa_core.pems.mapping.transforms import read_step
from pfa_core.pems.sandbox.server import Outcome, Sandbox
from pfa_core.pems.services.rest import health
from pfa_core.pems.services.writer import open_writer
from tests.model.strategies import clean_deltas
from tests.pems.edge import CANARY, answering, http_answer, profile
from tests.pems.sandbox_client import record

ODD_IDS = ["a/b", "50%", "a?b", "a#b", "a b", "Zürich-仮", "..", ".", "%2F", "a+b;c=d&e", "x\\y"]


def write(pfa_id: str = "R-1", version: str = "1", key: str = "k1", **changes) -> Write:
    return Write(
        pfa_id=pfa_id,
        changes=changes or {"monthlyRate": 5},
        version=version,
        key=key,
        modified_by="ann",
        reason="weather",
    )


def do(url: str, action, **changes):
    with open_writer(profile(url, **changes)) as writer:
        return action(writer)


@pytest.fixture
def sandbox():
    with Sandbox(organization="RIO", records=[record(1)]) as running:
        yield running


def test_a_reading_is_the_record_in_the_form_of_the_mirror(sandbox):
    found = do(sandbox.url, lambda writer: writer.read("R-1"))
    assert isinstance(found, Reading)
    assert found.version == "1"
    assert found.record == {
        **sandbox.record("R-1").data,
        "organization": "RIO",
        "pemsVersion": sandbox.record("R-1").updated_at,
    }


def test_a_write_is_applied_with_everything_that_the_contract_carries(sandbox):
    found = do(sandbox.url, lambda writer: writer.write(write(monthlyRate=Decimal("5.50"))))
    entry = sandbox.log[0]
    stored = {"monthlyRate": Decimal("5.50")}
    assert found == Applied("2", sandbox.record("R-1").updated_at, stored)
    shown = entry.write
    assert (shown.pfa_id, shown.organization, shown.key) == ("R-1", "RIO", "k1")
    assert (shown.by, shown.reason, shown.base_version) == ("ann", "weather", 1)
    assert str(shown.changes["monthlyRate"]) == "5.50"


def test_the_same_key_again_gets_the_first_answer_and_changes_nothing(sandbox):
    def twice(writer):
        return writer.write(write()), writer.write(write())

    first, second = do(sandbox.url, twice)
    assert (first.record, second.record) == ({"monthlyRate": 5}, None)
    assert (first.version, first.stamp) == (second.version, second.stamp)
    assert [entry.outcome for entry in sandbox.log] == [Outcome.APPLIED, Outcome.REPLAYED]


def test_a_pems_without_keys_is_sent_none(sandbox):
    do(sandbox.url, lambda writer: writer.write(write()), idempotency_keys=False)
    assert sandbox.log[0].write.key == ""


def test_a_record_that_moved_is_reported_with_its_version(sandbox):
    sandbox.change("R-1", model="X")
    assert do(sandbox.url, lambda writer: writer.write(write())) == Moved("2")


@pytest.mark.parametrize("pfa_id", ODD_IDS)
def test_any_id_reaches_its_own_record(pfa_id):
    with Sandbox(organization="RIO", records=[record(1, pfaId=pfa_id)]) as sandbox:
        found = do(sandbox.url, lambda writer: writer.read(pfa_id))
        assert isinstance(found, Reading)
        assert found.record["pfaId"] == pfa_id
        assert do(sandbox.url, lambda writer: writer.write(write(pfa_id))).version == "2"


@pytest.mark.slow
def test_what_is_written_is_what_is_read(sandbox):
    @settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(clean_deltas)
    def check(delta):
        if not delta:
            return
        with open_writer(profile(sandbox.url)) as writer:
            before = writer.read("R-1")
            assert isinstance(before, Reading)
            key = f"k{before.version}"
            found = writer.write(
                Write(
                    pfa_id="R-1", changes=delta, version=before.version, key=key, modified_by="ann"
                )
            )
            assert isinstance(found, Applied), found
            after = writer.read("R-1")
        assert isinstance(after, Reading)
        assert after.version == found.version
        for name, value in delta.items():
            stored = sandbox.record("R-1").data[name]
            assert stored == value
            assert isinstance(stored, bool) == isinstance(value, bool)
            read = after.record[name]
            # The mirror holds no null where a field has a default.
            assert read == value or (value is None and read == "")

    check()


def test_money_keeps_its_digits_in_both_directions(sandbox):
    for number, text in enumerate(["1.10", "999999999999999.999999999999", "0.000000000001"], 1):
        with open_writer(profile(sandbox.url)) as writer:
            change = write(version=str(number), key=text, monthlyRate=Decimal(text))
            assert isinstance(writer.write(change), Applied)
            held = sandbox.record("R-1").data["monthlyRate"]
            read = writer.read("R-1").record["monthlyRate"]
            assert [format(value, "f") for value in (held, read)] == [text, text]


FAULTS = [
    ("423", "LOCKED", RetryAdvice.RETRY, False, 0),
    ("425", "SERVER_ERROR", RetryAdvice.RETRY, True, 0),
    ("429:retry-after=3", "RATE_LIMIT", RetryAdvice.SLOW_DOWN, False, 0),
    ("500", "SERVER_ERROR", RetryAdvice.RETRY, True, 0),
    ("503", "SERVICE_UNAVAILABLE", RetryAdvice.RETRY, True, 0),
    ("reset-before", "NO_ANSWER", RetryAdvice.RETRY, True, 0),
    ("alert", "PEMS_PROTOCOL", RetryAdvice.RETRY, True, 0),
    ("reset-after", "NO_ANSWER", RetryAdvice.RETRY, True, 1),
    ("truncate", "NO_ANSWER", RetryAdvice.RETRY, True, 1),
    ("slow:pause=40ms", "NO_ANSWER", RetryAdvice.RETRY, True, 1),
]


@pytest.mark.parametrize(("fault", "code", "advice", "maybe", "applied"), FAULTS)
def test_a_write_without_answer_may_have_been_applied(sandbox, fault, code, advice, maybe, applied):
    sandbox.faults = [f"{fault}:times=1"]
    found = do(sandbox.url, lambda writer: writer.write(write()), timeout=0.3)
    assert isinstance(found, Failure)
    assert (found.code, found.advice, found.maybe_applied) == (code, advice, maybe)
    assert len(sandbox.log) == applied
    again = do(sandbox.url, lambda writer: writer.write(write()))
    assert isinstance(again, Applied)
    assert (again.version, again.stamp) == ("2", sandbox.record("R-1").updated_at)


@pytest.mark.parametrize("fault", [fault for fault, *_ in FAULTS])
def test_a_read_without_answer_has_changed_nothing(sandbox, fault):
    sandbox.faults = [f"{fault}:times=1"]
    found = do(sandbox.url, lambda writer: writer.read("R-1"), timeout=0.3)
    assert isinstance(found, Failure)
    assert not found.maybe_applied


def test_refusals_are_final_for_the_record_and_in_pemss_words(sandbox):
    missing = do(sandbox.url, lambda writer: writer.write(write("R-9")))
    assert (missing.code, missing.advice) == ("NOT_FOUND", RetryAdvice.NONE)
    assert do(sandbox.url, lambda writer: writer.read("R-9")).code == "NOT_FOUND"
    bad = do(sandbox.url, lambda writer: writer.write(write(originalStart="2026-01-01")))
    assert (bad.code, bad.advice, bad.maybe_applied) == ("PEMS_REJECTED", RetryAdvice.NONE, False)
    assert "originalStart" in bad.message


def test_wrong_credentials_stop_and_show_no_password():
    with Sandbox(
        organization="RIO", records=[record(1)], username="ann", password="other"
    ) as sandbox:
        found = do(sandbox.url, lambda writer: writer.write(write()))
    assert (found.code, found.advice) == ("UNAUTHORIZED", RetryAdvice.STOP)
    assert CANARY not in repr(found)


def test_a_version_of_another_service_is_not_sent(sandbox):
    found = do(sandbox.url, lambda writer: writer.write(write(version="")))
    assert (found.code, found.advice) == ("UNWRITABLE", RetryAdvice.NONE)
    assert sandbox.log == ()


def answered(content: object, action, status: str = "200 OK", **changes):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    with answering(http_answer(status, body)) as url:
        return do(url, action, **changes)


@pytest.mark.parametrize(
    "content",
    [{}, {"newVersion": None}, {"newVersion": True}, {"newVersion": 1.5}, [], b"", b"<html>",
     {"newVersion": "2", "ErrorAlert": [{"Message": "not really"}]}],
)  # fmt: skip
def test_a_success_that_tells_no_version_may_or_may_not_be_one(content):
    found = answered(content, lambda writer: writer.write(write()))
    assert isinstance(found, Failure)
    assert (found.code, found.advice, found.maybe_applied) == (
        "PEMS_PROTOCOL",
        RetryAdvice.RETRY,
        True,
    )


def test_a_version_may_come_as_text_and_a_stamp_be_missing():
    found = answered({"newVersion": "7"}, lambda writer: writer.write(write()))
    assert found == Applied("7", "")


def test_a_conflict_that_tells_no_version_is_one_still():
    for content in ({}, b"", {"currentVersion": None}):
        found = answered(content, lambda writer: writer.write(write()), "409 Conflict")
        assert found == Moved("")


RECORD = {"pfaId": "R-1", "organizationCode": "RIO", "version": 3, "data": {"model": "X"}}


def test_a_reading_holds_only_what_the_service_shows():
    found = answered(RECORD, lambda writer: writer.read("R-1"))
    assert isinstance(found, Reading)
    expected = {"pfaId": "R-1", "organization": "RIO", "model": "X", "pemsVersion": None}
    assert found.record == expected


@pytest.mark.parametrize(
    ("change", "code", "advice"),
    [
        ({"organizationCode": "OTHER"}, "FOREIGN_ORGANIZATION", RetryAdvice.NONE),
        ({"data": {"organization": "OTHER"}}, "FOREIGN_ORGANIZATION", RetryAdvice.NONE),
        ({"pfaId": "R-2"}, "PEMS_PROTOCOL", RetryAdvice.RETRY),
        ({"version": None}, "PEMS_PROTOCOL", RetryAdvice.RETRY),
        ({"data": None}, "PEMS_PROTOCOL", RetryAdvice.RETRY),
        ({"data": {"monthlyRate": "much"}}, "PEMS_PROTOCOL", RetryAdvice.NONE),
        ({"data": {"forecastStart": "soon"}}, "PEMS_PROTOCOL", RetryAdvice.NONE),
        ({"data": {"model": "\0"}}, "PEMS_PROTOCOL", RetryAdvice.RETRY),
    ],
)
def test_what_is_no_own_record_is_a_failure(change, code, advice):
    found = answered({**RECORD, **change}, lambda writer: writer.read("R-1"))
    assert isinstance(found, Failure)
    assert (found.code, found.advice, found.maybe_applied) == (code, advice, False)


def test_pems_may_call_the_organization_otherwise():
    def both(writer):
        return writer.read("R-1"), writer.write(write())

    with Sandbox(organization="PEMS-RIO", records=[record(1)]) as sandbox:
        found, applied = do(sandbox.url, both, organization="PEMS-RIO")
    assert isinstance(found, Reading)
    assert found.record["organization"] == "RIO"
    assert isinstance(applied, Applied)


CHAINS = FieldMap(
    chains={
        "monthlyRate": Chain((read_step({"multiply": "4.345"}),)),
        "purchasePrice": Chain((read_step({"round": 2}),)),
        "source": Chain((read_step({"map": {"Rental": "Purchase", "Purchase": "Rental"}}),)),
        "isActualized": Chain((read_step("equals_y"),)),
        "forecastStart": Chain((read_step({"date_parse": "dd/MM/yyyy"}),)),
        "manufacturer": Chain((), "unknown"),
    }
)


def test_values_are_written_in_the_units_of_pems_and_read_in_ours(sandbox):
    with open_writer(profile(sandbox.url, field_map=CHAINS)) as writer:
        changes = {
            "monthlyRate": Decimal(1000),
            "source": "Rental",
            "isActualized": True,
            "forecastStart": "2026-03-04",
        }
        assert isinstance(writer.write(write(**changes)), Applied)
        held = sandbox.record("R-1").data
        assert held["monthlyRate"] == Decimal("230.149597238205")
        assert (held["source"], held["isActualized"], held["forecastStart"]) == (
            "Purchase",
            True,
            "2026-03-04",
        )
        found = writer.read("R-1")
        assert {name: found.record[name] for name in changes} == changes
        assert found.record["manufacturer"] == "unknown"
        assert isinstance(writer.write(write(version="2", key="k2", monthlyRate=None)), Applied)
        assert sandbox.record("R-1").data["monthlyRate"] is None


def test_what_is_not_reversible_is_not_written(sandbox):
    with open_writer(profile(sandbox.url, field_map=CHAINS)) as writer:
        assert "purchasePrice" in writer.unwritable({"purchasePrice": 5})
        assert "monthlyRate" in writer.unwritable({"monthlyRate": Decimal("1.0000000001")})
        assert writer.unwritable({"purchasePrice": None, "model": "X"}) == ""
        found = writer.write(write(purchasePrice=5))
    assert (found.code, found.advice) == ("UNWRITABLE", RetryAdvice.NONE)
    assert sandbox.log == ()


def test_health_tells_how_long_it_took_or_what_is_the_matter(sandbox):
    good = health(profile(sandbox.url))
    assert good.failure is None
    assert 0 < good.latency < 5
    sandbox.faults = ["503:on=health"]
    assert health(profile(sandbox.url)).failure.code == "SERVICE_UNAVAILABLE"
    for body, code in ((b'{"healthy":false}', "SERVER_ERROR"), (b"<html>", "PEMS_PROTOCOL")):
        with answering(http_answer("200 OK", body)) as url:
            assert health(profile(url)).failure.code == code


def test_the_writer_needs_no_reading_before(sandbox):
    assert not do(sandbox.url, lambda writer: writer.reads_first)


def written_with(answer: dict[str, object], **changes) -> Applied:
    """What the writer made of a success with this answer."""
    body = json.dumps({"newVersion": 2, "updatedAt": "t", **answer}).encode()
    with answering(http_answer("200 OK", body)) as url:
        found = do(url, lambda writer: writer.write(write(monthlyRate=5, model="New")), **changes)
    assert isinstance(found, Applied)
    return found


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        ({"monthlyRate": 5, "model": "New", "dor": "BEO"}, {"monthlyRate": 5, "model": "New"}),
        ({"monthlyRate": 5.0, "model": "New"}, {"monthlyRate": 5, "model": "New"}),
        ({"monthlyRate": 6, "model": "N"}, {"monthlyRate": 6, "model": "N"}),
        ({"model": "N"}, {"model": "N"}),
        ({"dor": "BEO"}, {}),
        ({"monthlyRate": "many", "model": "New"}, None),
        ([], None),
        (None, None),
    ],
)
def test_an_answer_shows_what_pems_stored_of_the_sent_fields(data, stored):
    assert written_with({"data": data}).record == stored


def test_a_write_asks_for_the_stored_values(sandbox):
    asked = []
    sandbox._watcher = lambda request, _: asked.append(request.headers["prefer"])
    do(sandbox.url, lambda writer: writer.write(write()))
    assert asked == ["return=representation"]


def test_a_sandbox_that_does_not_show_them_answers_with_the_version_alone():
    with Sandbox(organization="RIO", records=[record(1)], shows_writes=False) as sandbox:
        found = do(sandbox.url, lambda writer: writer.write(write()))
        assert found == Applied("2", sandbox.record("R-1").updated_at)
