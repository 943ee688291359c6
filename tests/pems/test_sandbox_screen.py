"""The sandbox's user-defined-screen service: typed values there and back, alerts with 200."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pfa_core.pems.sandbox.server import Sandbox
from tests.pems.sandbox_client import Client, basic, record, screen_body

PATH = "/axis/restservices/userdefinedscreenservices"
MARCH_5 = 1_772_668_800_000  # 2026-03-05T00:00:00Z
HOUR = 3_600_000


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(organization="RIO", records=[record(1)]) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.url, Authorization=basic("jdoe", "any")) as connected:
        yield connected


def service(answer):
    return answer.json["Result"]["ResultData"]["UserDefinedScreenService"]


def values(answer):
    pairs = service(answer)["USERDEFINEDSCREENFIELDVALUELIST"]["USERDEFINEDSCREENFIELDVALUEPAIR"]
    return {
        pair["USERDEFINEDSCREENFIELDNAME"]: pair["USERDEFINEDSCREENFIELDVALUE"] for pair in pairs
    }


def number(value, decimals=0, sign="+"):
    return {
        "NUMERICDATA": {
            "VALUE": value,
            "NUMOFDEC": decimals,
            "SIGN": sign,
            "CURRENCY": "XXX",
            "DRCR": "D",
            "qualifier": "OTHER",
        }
    }


def day(milliseconds, month=3, of_month=5, zone="+0000"):
    parts = {"YEAR": milliseconds, "MONTH": month, "DAY": of_month, "TIMEZONE": zone}
    return {"DATETIMEDATA": parts}


def test_a_get_tells_every_field_in_its_form_and_when_it_was_updated(client):
    answer = client.screen("GET", "R-1")
    shown = values(answer)
    assert shown["PFS_ID"] == {"TEXTDATA": "R-1"}
    assert shown["PFA_DIS"] == {"TEXTDATA": "false"}
    assert shown["PFS_F_RATE"] == number(1000)
    assert shown["PFS_F_PRICE"] is None
    assert shown["PFS_F_STARTDATE"]["DATETIMEDATA"] == {
        "YEAR": 1_767_225_600_000 + 5 * HOUR,
        "MONTH": 1,
        "DAY": 1,
        "HOUR": 0,
        "MINUTE": 0,
        "SECOND": 0,
        "SUBSECOND": 0,
        "TIMEZONE": "-0500",
        "qualifier": "OTHER",
    }
    stamp = datetime(2026, 11, 1, 8, tzinfo=UTC).timestamp() * 1000
    assert service(answer)["DATEUPDATED"]["YEAR"] == stamp


def test_an_update_changes_what_it_names_and_moves_dateupdated(client, sandbox):
    before = service(client.screen("GET", "R-1"))["DATEUPDATED"]
    answer = client.screen(
        "UPDATE",
        "R-1",
        PFS_F_RATE=number(Decimal("5500.25").__float__(), 2),
        PFS_F_STARTDATE=day(MARCH_5),
        PFS_FT={"TEXTDATA": "true"},
        PFS_F_SOURCE={"TEXTDATA": "PURCHASE"},
    )
    data = sandbox.record("R-1").data
    assert (data["monthlyRate"], data["forecastStart"]) == (Decimal("5500.25"), "2026-03-05")
    assert (data["isFundsTransferable"], data["source"]) == (True, "Purchase")
    assert data["forecastEnd"] == "2026-02-01"
    assert service(answer)["DATEUPDATED"] != before
    assert service(answer)["UPDATEDBY"] == {"USERCODE": "jdoe"}
    assert service(client.screen("GET", "R-1"))["DATEUPDATED"] == service(answer)["DATEUPDATED"]
    assert [(entry.write.writer, entry.outcome, entry.version) for entry in sandbox.log] == [
        ("screen", "applied", 2)
    ]


def test_what_a_get_shows_is_taken_by_an_update_as_it_is(client, sandbox):
    before = dict(sandbox.record("R-1").data)
    shown = values(client.screen("GET", "R-1"))
    again = {name: shown[name] for name in ("PFS_F_RATE", "PFS_F_STARTDATE", "PFS_F_DOR")}
    client.screen("UPDATE", "R-1", **again)
    assert {**sandbox.record("R-1").data, "pemsVersion": before["pemsVersion"]} == before


@pytest.mark.parametrize(
    "empty",
    [
        None,
        "absent",
        {"NUMERICDATA": None},
        {"NUMERICDATA": {"VALUE": None}},
    ],
)
def test_a_null_or_absent_value_clears_the_field(client, sandbox, empty):
    sent = screen_body(
        "UPDATE",
        {"PFS_ID": {"TEXTDATA": "R-1"}, "PFS_A_ORG": {"TEXTDATA": "RIO"}, "PFS_F_RATE": empty},
    )
    if empty == "absent":
        pairs = sent["USERDEFINEDSCREENFIELDVALUELIST"]["USERDEFINEDSCREENFIELDVALUEPAIR"]
        del pairs[2]["USERDEFINEDSCREENFIELDVALUE"]
    assert "ErrorAlert" not in client.send("POST", PATH, sent).json
    assert sandbox.record("R-1").data["monthlyRate"] is None


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (number(5500), "5500"),
        (number("5500.25", 2), "5500.25"),
        (number("5500.25", 1), "5500.3"),
        (number("5500.25", 0), "5500"),
        (number("5500", 2), "5500.00"),
    ],
)
def test_a_number_is_rounded_to_the_decimals_that_come_with_it(client, sandbox, sent, stored):
    client.screen("UPDATE", "R-1", PFS_F_RATE=sent)
    assert str(sandbox.record("R-1").data["monthlyRate"]) == stored


@pytest.mark.parametrize(
    "sent",
    [
        day(MARCH_5),
        day(MARCH_5, zone="-0500"),
        day(MARCH_5 + 5 * HOUR, zone="-0500"),
        day(MARCH_5 - 9 * HOUR, zone="+0900"),
        {"DATETIMEDATA": {"YEAR": MARCH_5}},
    ],
)
def test_a_date_is_the_day_of_its_milliseconds_that_its_parts_agree_with(client, sandbox, sent):
    client.screen("UPDATE", "R-1", PFS_F_ENDDATE=sent)
    assert sandbox.record("R-1").data["forecastEnd"] == "2026-03-05"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"PFS_F_RATE": number(5, sign="-")}, "PFS_F_RATE is not a valid value"),
        ({"PFS_F_RATE": number("many")}, "PFS_F_RATE is not a valid value"),
        ({"PFS_F_RATE": {"TEXTDATA": "5"}}, "PFS_F_RATE is not a valid value"),
        ({"PFS_F_RATE": {"NUMERICDATA": 5}}, "PFS_F_RATE is not a valid value"),
        ({"PFS_F_RATE": 5}, "PFS_F_RATE is not a valid value"),
        ({"PFS_F_ENDDATE": day(MARCH_5, month=2)}, "of another day"),
        ({"PFS_F_ENDDATE": day("x")}, "PFS_F_ENDDATE is not a valid value"),
        ({"PFS_F_ENDDATE": day(MARCH_5, zone="EST")}, "PFS_F_ENDDATE is not a valid value"),
        ({"PFS_F_SOURCE": {"TEXTDATA": "LEASE"}}, "PFS_F_SOURCE is not a valid value"),
        ({"PFS_F_SOURCE": None}, "PFS_F_SOURCE is not a valid value"),
        ({"PFA_DIS": {"TEXTDATA": "perhaps"}}, "PFA_DIS is not a valid value"),
        ({"PFS_F_MODEL": {"TEXTDATA": 5}}, "PFS_F_MODEL is not a valid value"),
        ({"PFS_F_CATDESC": {"TEXTDATA": "x"}}, "not a field that can be updated"),
        ({"NONSENSE": {"TEXTDATA": "x"}}, "not a field that can be updated"),
        ({}, "no field to update"),
        ({"PFS_ID": {"TEXTDATA": "R-9"}, "PFS_F_MODEL": None}, "was not found"),
        ({"PFS_ID": None}, "PFS_ID is required"),
        ({"PFS_ID": 5}, "PFS_ID is required"),
        ({"PFS_A_ORG": {"TEXTDATA": "RIO2"}}, "no access"),
    ],
)
def test_content_that_is_wrong_is_an_alert_with_200_and_changes_nothing(
    client, sandbox, values, message
):
    before = sandbox.record("R-1")
    answer = client.send(
        "POST",
        PATH,
        screen_body(
            "UPDATE", {"PFS_ID": {"TEXTDATA": "R-1"}, "PFS_A_ORG": {"TEXTDATA": "RIO"}, **values}
        ),
    )
    assert answer.status == 200
    assert message in answer.json["ErrorAlert"][0]["Message"]
    assert sandbox.record("R-1") == before


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ([], "names no screen"),
        ({"USERDEFINEDSCREENNAME": ""}, "names no screen"),
        (screen_body("DELETE", {}), "'DELETE' is not an action"),
        (screen_body("GET", {}), "PFS_ID is required"),
        ({**screen_body("GET", {}), "USERDEFINEDSCREENFIELDVALUELIST": 5}, "PFS_ID is required"),
        (
            {
                **screen_body("GET", {}),
                "USERDEFINEDSCREENFIELDVALUELIST": {"USERDEFINEDSCREENFIELDVALUEPAIR": [5]},
            },
            "not a field name",
        ),
    ],
)
def test_a_request_without_sense_is_an_alert_with_200(client, sent, message):
    answer = client.send("POST", PATH, sent)
    assert answer.status == 200
    assert message in answer.json["ErrorAlert"][0]["Message"]


def test_a_get_of_an_unknown_record_is_an_alert(client):
    assert "was not found" in client.screen("GET", "R-9").json["ErrorAlert"][0]["Message"]


def test_a_body_that_is_no_json_is_400(client):
    assert client.send("POST", PATH, b"{").status == 400
