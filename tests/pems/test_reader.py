"""The grid over HTTP: pages of texts by field, changes only, and every failure as a value."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pfa_core.errors import ConfigInvalid
from pfa_core.model.exchange import Failure, RetryAdvice
from pfa_core.pems.mapping.field_map import DEFAULT_FIELDS, FieldMap
from pfa_core.pems.mapping.steps import Chain
from pfa_core.pems.mapping.transforms import read_step
from pfa_core.pems.profile import GridSettings
from pfa_core.pems.sandbox.server import RowShape, Sandbox, Totals
from pfa_core.pems.services.grid import GridPage
from pfa_core.pems.services.grid_reader import open_reader
from tests.pems.edge import answering, http_answer, profile, speaking
from tests.pems.sandbox_client import record


def page(url: str, offset: int = 0, size: int = 100, since=None, **changes):
    with open_reader(profile(url, **changes)) as reader:
        return reader.page(offset, size, since=since)


def ids(found) -> list[str]:
    assert isinstance(found, GridPage), found
    return [row["pfaId"] for row in found.rows]


@pytest.fixture(params=RowShape)
def sandbox(request):
    records = [record(number, monthlyRate=number) for number in range(1, 6)]
    with Sandbox(organization="RIO", records=records, shape=request.param) as running:
        yield running


def test_pages_come_sorted_by_id_with_the_total(sandbox):
    pages = [page(sandbox.url, offset, 2) for offset in (0, 2, 4, 6)]
    assert [ids(found) for found in pages] == [["R-1", "R-2"], ["R-3", "R-4"], ["R-5"], []]
    assert [found.total for found in pages] == [5, 5, 5, 5]


@pytest.mark.parametrize(("totals", "total"), [(Totals.ROWS, 1), (Totals.NONE, None)])
def test_a_total_may_be_called_otherwise_or_be_missing(totals, total):
    with Sandbox(organization="RIO", records=[record(1)], totals=totals) as sandbox:
        assert page(sandbox.url).total == total


def test_every_value_is_text_and_empty_cells_are_absent(sandbox):
    row = page(sandbox.url).rows[0]
    assert row["monthlyRate"] == "1"
    assert (row["source"], row["isActualized"]) == ("RENTAL", "N")
    assert "purchasePrice" not in row
    assert all(isinstance(value, str) for value in row.values())


def test_only_what_changed_since_a_moment_is_asked_for(sandbox):
    moment = datetime(2026, 11, 3, 10, 0, 0, 999, timezone(timedelta(hours=2)))
    assert ids(page(sandbox.url, since=moment)) == ["R-3", "R-4", "R-5"]
    assert ids(page(sandbox.url, since=moment + timedelta(milliseconds=1))) == ["R-4", "R-5"]


def test_the_request_is_the_one_of_the_contract():
    seen: list[bytes] = []
    empty = json.dumps({"Result": {"ResultData": {"GRID": {"DATA": {"ROW": []}}}}}).encode()

    def talk(connection, request):
        seen.append(request)
        connection.sendall(http_answer("200 OK", empty))

    with speaking(talk) as url:
        page(url, 20, 10, organization="RIO1", grid=GridSettings("G", "7"), tenant="T")
        page(url, since=datetime(2026, 1, 2, 3, 4, 5, 678999, UTC))
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /axis/restservices/griddata HTTP/1.1")
    assert b"organization: RIO1" in head
    assert b"tenant: T" in head
    own = {"ALIAS_NAME": "pfs_a_org", "OPERATOR": "BEGINS", "VALUE": "RIO1"}
    assert json.loads(body) == {
        "GRID": {
            "GRID_NAME": "G",
            "GRID_ID": "7",
            "NUMBER_OF_ROWS_FIRST_RETURNED": 10,
            "ROW_OFFSET": 20,
            "RESULT_IN_SAXORDER": "TRUE",
        },
        "ADDON_SORT": {"ALIAS_NAME": "pfs_id", "TYPE": "ASC"},
        "ADDON_FILTER": own,
        "GRID_TYPE": {"TYPE": "LIST"},
        "LOV_PARAMETER": {"ALIAS_NAME": "pfs_id"},
        "REQUEST_TYPE": "LIST.DATA_ONLY.STORED",
    }
    assert json.loads(seen[1].partition(b"\r\n\r\n")[2])["ADDON_FILTER"] == [
        {**own, "VALUE": "RIO"},
        {"ALIAS_NAME": "pfs_lastmodified", "OPERATOR": ">=", "VALUE": "2026-01-02T03:04:05.678Z"},
    ]


def test_rows_of_our_organization_bear_our_code_and_no_others_do():
    records = [record(n, organization=code) for n, code in enumerate(["P1", "P1X", "P1 RIO"])]
    with Sandbox(records=records) as sandbox:
        found = page(sandbox.url, organization="P1")
        assert [row["organization"] for row in found.rows] == ["RIO", "P1X", "P1 RIO"]
    with Sandbox(records=[record(1, organization="RIO")]) as sandbox:
        found = page(sandbox.url, organization="R")
        assert [row["organization"] for row in found.rows] == ["RIO of PEMS"]


def test_transforms_and_defaults_of_the_map_are_applied():
    chains = {
        "monthlyRate": Chain((read_step({"multiply": "4.345"}),)),
        "model": Chain((), "none"),
        "description": Chain(
            (read_step({"concat": {"aliases": ["pfs_id", "pfs_f_rental"], "separator": "/"}}),)
        ),
    }
    with Sandbox(organization="RIO", records=[record(1, monthlyRate=2)]) as sandbox:
        row = page(sandbox.url, field_map=FieldMap(chains=chains)).rows[0]
    assert (row["monthlyRate"], row["model"], row["description"]) == ("8.69", "none", "R-1/2")


def grid_body(*cells: str, **grid: object) -> bytes:
    rows = ",".join(f'{{"CELL":[{cell}]}}' for cell in cells)
    more = "".join(f'"{name}":{json.dumps(value)},' for name, value in grid.items())
    text = f'{{"Result":{{"ResultData":{{"GRID":{{{more}"DATA":{{"ROW":[{rows}]}}}}}}}}}}'
    return text.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1234567890123456789.123456789012", "1234567890123456789.123456789012"),
        ("1e3", "1000"),
        ("1.50E+2", "150"),
        ("12", "12"),
        ("true", "true"),
        ("null", ""),
        ('"\\u0000"', "\0"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_values_of_any_type_become_text_with_all_their_digits(value, text):
    body = grid_body(f'{{"ALIAS_NAME":"pfs_id","VALUE":{value}}}')
    with answering(http_answer("200 OK", body)) as url:
        assert page(url).rows == [{"pfaId": text}]


def test_an_alias_that_is_called_like_a_field_takes_no_fields_place():
    body = grid_body(
        '{"ALIAS_NAME":"pfs_f_model","VALUE":"own"},{"ALIAS_NAME":"model","VALUE":"other"}'
    )
    with answering(http_answer("200 OK", body)) as url:
        assert page(url).rows == [{"model": "own", "grid:model": "other"}]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", ""),
        (b"<html>", ""),
        (b"[]", ": must be an object"),
        (b"{}", ": Result is missing"),
        (b"null", ": must be an object"),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
        (grid_body('{"ALIAS_NAME":"pfs_id","VALUE":NaN}'), ""),
        (grid_body('{"ALIAS_NAME":"pfs_id","VALUE":1e999999}'), ""),
        (grid_body("5"), ": Result.ResultData.GRID.DATA.ROW 1 CELL 1 must be an object"),
        (
            grid_body('{"VALUE":"secret"}'),
            ": Result.ResultData.GRID.DATA.ROW 1 CELL 1.ALIAS_NAME is missing",
        ),
    ],
    ids=range(11),
)
def test_what_is_no_answer_of_a_grid_is_a_failure(body, why):
    with answering(http_answer("200 OK", body)) as url:
        message = f"PEMS's answer is not an answer of a grid{why}"
        assert page(url) == Failure("PEMS_PROTOCOL", message, RetryAdvice.RETRY)


@pytest.mark.parametrize("status", ["201 Created", "409 Conflict"])
def test_a_status_that_no_grid_has_is_a_failure(status):
    with answering(http_answer(status, grid_body())) as url:
        assert isinstance(page(url), Failure)


@pytest.mark.parametrize(
    ("fault", "code", "advice", "wait"),
    [
        ("423:retry-after=2", "LOCKED", RetryAdvice.RETRY, 2.0),
        ("425", "SERVER_ERROR", RetryAdvice.RETRY, None),
        ("429:retry-after=3", "RATE_LIMIT", RetryAdvice.SLOW_DOWN, 3.0),
        ("500", "SERVER_ERROR", RetryAdvice.RETRY, None),
        ("503:retry-after=1", "SERVICE_UNAVAILABLE", RetryAdvice.RETRY, 1.0),
        ("reset-before", "NO_ANSWER", RetryAdvice.RETRY, None),
        ("reset-after", "NO_ANSWER", RetryAdvice.RETRY, None),
        ("truncate", "NO_ANSWER", RetryAdvice.RETRY, None),
        ("alert", "PEMS_REJECTED", RetryAdvice.RETRY, None),
        ("slow:pause=40ms", "NO_ANSWER", RetryAdvice.RETRY, None),
        ("latency:3s", "NO_ANSWER", RetryAdvice.RETRY, None),
    ],
)
def test_every_fault_is_a_failure_that_cannot_have_changed_anything(fault, code, advice, wait):
    with Sandbox(organization="RIO", records=[record(1)], faults=[f"{fault}:times=1"]) as sandbox:
        found = page(sandbox.url, grid_timeout=0.3)
        assert isinstance(found, Failure)
        assert (found.code, found.advice, found.retry_after) == (code, advice, wait)
        assert not found.maybe_applied
        assert ids(page(sandbox.url)) == ["R-1"]


def test_a_column_that_the_grid_does_not_have_is_pemss_complaint():
    fields = {**DEFAULT_FIELDS, "my_id": "pfaId"}
    del fields["pfs_id"]
    with Sandbox(organization="RIO", records=[record(1)]) as sandbox:
        found = page(sandbox.url, field_map=FieldMap(fields))
    assert isinstance(found, Failure)
    assert "no column 'my_id'" in found.message


def test_wrong_credentials_stop():
    with Sandbox(organization="RIO", username="ann", password="other") as sandbox:
        assert page(sandbox.url).advice is RetryAdvice.STOP


def test_a_map_without_organization_is_refused_since_foreign_rows_could_not_be_recognized():
    fields = {alias: name for alias, name in DEFAULT_FIELDS.items() if name != "organization"}
    with pytest.raises(ConfigInvalid, match="organization"):
        page("http://x", field_map=FieldMap(fields))


def test_a_map_without_stamps_cannot_ask_for_changes():
    fields = {alias: name for alias, name in DEFAULT_FIELDS.items() if name != "pemsVersion"}
    with (
        open_reader(profile("http://x", field_map=FieldMap(fields))) as reader,
        pytest.raises(ConfigInvalid, match="pemsVersion"),
    ):
        reader.page(0, 1, since=datetime(2026, 1, 1, tzinfo=UTC))
