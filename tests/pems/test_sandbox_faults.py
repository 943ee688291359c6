"""Faults on request: each does what it says, as likely, as often and where it was asked."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator

import pytest

from pfa_core.errors import InvalidRequest
from pfa_core.pems.sandbox.faults import FaultBox, FaultRule, Kind, PathKind, parse_fault
from pfa_core.pems.sandbox.server import Sandbox
from tests.pems.sandbox_client import Client, body, record


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(organization="RIO", records=[record(1)]) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.url) as connected:
        yield connected


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("latency:50ms", FaultRule(kind=Kind.LATENCY, seconds=0.05)),
        (
            "latency:2s:0.5:on=grid",
            FaultRule(kind=Kind.LATENCY, probability=0.5, seconds=2, on=PathKind.GRID),
        ),
        ("429:0.1:retry-after=2", FaultRule(kind=Kind.TOO_MANY, probability=0.1, retry_after="2")),
        ("500", FaultRule(kind=Kind.SERVER_ERROR)),
        (
            "503:0.25:times=3:after=2",
            FaultRule(kind=Kind.UNAVAILABLE, probability=0.25, times=3, after=2),
        ),
        ("slow:1:pause=1ms", FaultRule(kind=Kind.SLOW, seconds=0.001)),
        ("rounds:0.5:on=rest", FaultRule(kind=Kind.ROUNDS, probability=0.5, on=PathKind.REST)),
        ("cuts:1:length=3", FaultRule(kind=Kind.CUTS, length=3)),
        ("capitals:times=1", FaultRule(kind=Kind.CAPITALS, times=1)),
        ("423:retry-after=2", FaultRule(kind=Kind.LOCKED, retry_after="2")),
        ("truncate:0", FaultRule(kind=Kind.TRUNCATE, probability=0)),
    ],
)
def test_a_fault_is_read_from_text_and_written_as_text(spec, rule):
    assert parse_fault(spec) == rule
    assert parse_fault(str(rule)) == rule


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "nonsense",
        "404",
        "latency",
        "latency:0.5",
        "latency:50",
        "latency:9999s",
        "500:2",
        "500:-1",
        "500:50ms",
        "500:retry-after=2",
        "429:retry-after=",
        "500:on=moon",
        "500:times=x",
        "500:pause=1s",
        "slow:pause=x",
        "500::",
    ],
)
def test_what_is_no_fault_is_refused_with_the_grammar(spec):
    with pytest.raises(InvalidRequest) as refused:
        parse_fault(spec)
    assert "KIND" in refused.value.hint


def test_chance_is_the_seeds():
    def struck(seed: int) -> list[bool]:
        box = FaultBox()
        box.set(["500:0.3"], seed)
        return [box.strike(PathKind.REST).kind is not None for _ in range(1000)]

    assert struck(1) == struck(1) != struck(2)
    assert 240 < sum(struck(1)) < 360


def test_setting_the_same_faults_again_repeats_their_chance():
    box = FaultBox()
    runs = []
    for _ in range(2):
        box.set(["500:0.5"], 9)
        runs.append([box.strike(PathKind.REST).kind for _ in range(50)])
    assert runs[0] == runs[1]


def test_a_fault_strikes_where_it_was_asked_as_often_and_no_earlier():
    box = FaultBox()
    box.set(["500:on=rest:times=2:after=1"])
    assert box.strike(PathKind.GRID).kind is None
    struck = [box.strike(PathKind.REST).kind for _ in range(5)]
    assert struck == [None, "500", "500", None, None]
    assert box.struck == {"500": 2}


def test_of_several_faults_the_first_strikes_and_every_latency_counts():
    box = FaultBox()
    box.set(["latency:1s", "429:times=1", "500", "latency:2s"])
    strikes = [box.strike(PathKind.REST) for _ in range(2)]
    assert [(strike.kind, strike.latency) for strike in strikes] == [("429", 3), ("500", 3)]
    assert box.struck == {"latency": 4, "429": 1, "500": 1}


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        ("rounds", {"monthlyRate": "1201", "model": "Mobile crane", "manufacturer": ""}),
        ("cuts:1:length=6", {"monthlyRate": "1200.505", "model": "Mobile", "manufacturer": ""}),
        ("capitals", {"monthlyRate": "1200.505", "model": "MOBILE CRANE", "manufacturer": ""}),
    ],
)
def test_a_write_is_stored_otherwise_on_request(client, sandbox, fault, stored):
    sandbox.faults = [f"{fault}:times=1"]
    sent = {"monthlyRate": 1200.505, "model": "Mobile crane", "manufacturer": ""}
    client.get("R-1")
    answer = client.put("R-1", 1, key="k", **sent, forecastStart=None, purchasePrice=None)
    assert answer.status == 200
    held = sandbox.record("R-1").data
    assert {name: str(held[name]) for name in stored} == stored
    assert (held["forecastStart"], held["purchasePrice"]) == (None, None)
    assert sandbox.struck == {fault.partition(":")[0]: 1}
    assert client.put("R-1", 2, key="k2", model="Mobile crane").status == 200
    assert sandbox.record("R-1").data["model"] == "Mobile crane"


def test_an_alteration_strikes_beside_another_fault_and_writes_only():
    box = FaultBox()
    box.set(["rounds", "500:times=1", "cuts"])
    read = box.strike(PathKind.REST)
    assert (read.kind, read.alterations) == ("500", ())
    written = box.strike(PathKind.REST, writes=True)
    assert (written.kind, [rule.kind for rule in written.alterations]) == (None, ["rounds", "cuts"])
    assert box.struck == {"rounds": 1, "500": 1, "cuts": 1}


@pytest.mark.parametrize("fault", ["cuts:1:length=0", "cuts:1:length=x", "rounds:1:length=3"])
def test_a_length_is_a_number_of_a_fault_that_cuts(fault):
    with pytest.raises(InvalidRequest):
        parse_fault(fault)


@pytest.mark.parametrize("status", [423, 425, 429, 500, 503])
def test_a_status_on_request_applies_nothing(client, sandbox, status):
    sandbox.faults = [f"{status}:times=1"]
    answer = client.put("R-1", 1, key="k", model="X")
    assert (answer.status, "retry-after" in answer.headers) == (status, False)
    assert sandbox.log == ()
    assert client.put("R-1", 1, key="k", model="X").status == 200
    assert sandbox.struck == {str(status): 1}


@pytest.mark.parametrize("status", [423, 429, 503])
def test_a_status_can_say_when_to_come_again(client, sandbox, status):
    sandbox.faults = [f"{status}:1:retry-after=2"]
    assert client.get("R-1").headers["retry-after"] == "2"


def test_latency_delays_the_answer(client, sandbox):
    sandbox.faults = ["latency:60ms"]
    started = time.perf_counter()
    assert client.get("R-1").status == 200
    assert time.perf_counter() - started >= 0.06


def test_a_reset_before_applies_nothing(client, sandbox):
    sandbox.faults = ["reset-before:times=1"]
    with pytest.raises(ConnectionResetError):
        client.put("R-1", 1, key="k", model="X")
    assert sandbox.log == ()


def test_a_reset_after_leaves_the_change_applied_and_its_key_knows_the_answer(client, sandbox):
    sandbox.faults = ["reset-after:times=1"]
    with pytest.raises(ConnectionResetError):
        client.put("R-1", 1, key="k", model="X")
    assert sandbox.record("R-1").version == 2
    client.connection.close()
    assert client.put("R-1", 1, key="k", model="X").json["newVersion"] == 2
    assert sandbox.record("R-1").version == 2


def test_a_truncated_answer_ends_in_the_middle_of_its_body(client, sandbox):
    sandbox.faults = ["truncate:times=1"]
    with pytest.raises(http.client.IncompleteRead):
        client.put("R-1", 1, key="k", model="X")
    assert sandbox.record("R-1").version == 2


def test_a_slow_answer_comes_byte_by_byte_and_whole(client, sandbox):
    sandbox.faults = ["slow:1:pause=1ms"]
    started = time.perf_counter()
    answer = client.put("R-1", 1, key="k", model="X")
    assert answer.json["newVersion"] == 2
    assert time.perf_counter() - started >= 0.08
    assert client.get("R-1").status == 200


@pytest.mark.parametrize("service", ["rest", "grid", "screen"])
def test_an_alert_comes_with_200_and_applies_nothing(client, sandbox, service):
    sandbox.faults = [f"alert:on={service}"]
    ask = {
        "rest": lambda: client.put("R-1", 1, model="X"),
        "grid": lambda: client.grid(),
        "screen": lambda: client.screen("UPDATE", "R-1", PFS_F_MODEL={"TEXTDATA": "X"}),
    }
    answer = ask[service]()
    assert (answer.status, list(answer.json)) == (200, ["ErrorAlert"])
    assert sandbox.log == ()
    spared = client.get("R-1") if service != "rest" else client.screen("GET", "R-1")
    assert "ErrorAlert" not in spared.json


def test_health_can_be_struck_too(client, sandbox):
    sandbox.faults = ["503:on=health"]
    assert client.send("GET", "/api/pems/health").status == 503
    assert client.get("R-1").status == 200


def test_faults_are_set_and_counted_at_run_time_and_spare_the_control(client):
    shown = client.send(
        "PUT", "/sandbox/faults", {"faults": ["500:times=1", "latency:0s"], "seed": 5}
    )
    assert shown.json == {
        "faults": [
            {"fault": "500:1:times=1", "struck": 0},
            {"fault": "latency:0s:1", "struck": 0},
        ],
        "seed": 5,
    }
    assert client.send("PUT", "/api/pems/pfa/R-1", body("R-1", 1, {"model": "X"})).status == 500
    counted = client.send("GET", "/sandbox/faults").json["faults"]
    assert [item["struck"] for item in counted] == [1, 1]
    assert client.send("PUT", "/sandbox/faults", {"faults": []}).json["faults"] == []
    assert client.get("R-1").status == 200


@pytest.mark.parametrize(
    "wish",
    [
        [],
        {},
        {"faults": "500"},
        {"faults": [500]},
        {"faults": ["moon"]},
        {"faults": [], "seed": "x"},
        {"faults": [], "seed": True},
    ],
)
def test_a_wish_for_faults_that_is_wrong_changes_none(client, sandbox, wish):
    sandbox.faults = ["429:0"]
    assert client.send("PUT", "/sandbox/faults", wish).status == 400
    assert sandbox.faults == (parse_fault("429:0"),)


def test_leaving_does_not_wait_for_a_latency():
    with Sandbox(organization="RIO", faults=["latency:30s"]) as sandbox:
        with Client(sandbox.url) as client:
            client.connection.request("GET", "/api/pems/health")
            time.sleep(0.05)
        started = time.perf_counter()
        sandbox.__exit__()
        assert time.perf_counter() - started < 5
