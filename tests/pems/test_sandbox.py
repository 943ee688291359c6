"""The sandbox's REST service, who is authorized, what is kept and what a test may ask."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pfa_core.errors import ConfigInvalid, InvalidData, InvalidRequest, IoFailure, NotFound
from pfa_core.pems.sandbox.server import Sandbox
from tests.pems.sandbox_client import Client, basic, body, record

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    records = [record(1), record(2), record(3)]
    with Sandbox(organization="RIO", records=records, clock=lambda: NOON) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.url) as connected:
        yield connected


def test_a_record_shows_who_wrote_it_last(client):
    client.put("R-1", 1, model="A")
    assert client.get("R-1").json["updatedBy"] == "jdoe"


def test_a_record_is_read_with_its_version_and_all_its_fields(client):
    answer = client.get("R-1")
    assert answer.status == 200
    assert {name: answer.json[name] for name in answer.json if name != "data"} == {
        "pfaId": "R-1",
        "organizationCode": "RIO",
        "version": 1,
        "updatedAt": "2026-11-01T08:00:00Z",
        "updatedBy": "",
    }
    data = answer.json["data"]
    assert (data["monthlyRate"], data["forecastStart"]) == (1000, "2026-01-01")
    assert (data["isDiscontinued"], data["actualStart"], data["organization"]) == (
        False,
        None,
        "RIO",
    )


def test_a_write_raises_the_version_and_keeps_every_digit(client, sandbox):
    changes = b'{"monthlyRate": 12345678901.0500, "actualStart": null}'
    sent = b'{"pfaId":"R-1","organizationCode":"RIO","version":1,"changes":' + changes + b"}"
    answer = client.send("PUT", "/api/pems/pfa/R-1", sent)
    assert (answer.status, answer.json) == (
        200,
        {
            "newVersion": 2,
            "updatedAt": "2026-11-23T12:00:00.000Z",
            "message": "R-1 was updated",
        },
    )
    read = client.get("R-1").json
    assert (read["version"], str(read["data"]["monthlyRate"])) == (2, "12345678901.0500")
    assert read["data"]["pemsVersion"] == read["updatedAt"] == "2026-11-23T12:00:00.000Z"
    assert sandbox.record("R-1").data["monthlyRate"] == Decimal("12345678901.0500")


def test_derived_flags_follow_the_dates(client):
    client.put("R-1", 1, actualStart="2026-01-02", actualEnd="2026-01-09")
    assert client.get("R-1").json["data"]["hasActuals"] is True
    client.put("R-1", 2, actualEnd=None)
    assert client.get("R-1").json["data"]["hasActuals"] is False


def test_two_writes_in_one_moment_have_stamps_that_differ(client):
    first = client.put("R-1", 1, model="A").json["updatedAt"]
    assert client.put("R-1", 2, model="B").json["updatedAt"] > first


@pytest.mark.parametrize("pfa_id", ["A/B C", "100%", "Ärger", "a?b#c"])
def test_ids_of_any_characters_are_found_by_their_encoded_address(pfa_id):
    with (
        Sandbox(organization="RIO", records=[record(1, pfaId=pfa_id)]) as sandbox,
        Client(sandbox.url) as client,
    ):
        assert client.get(pfa_id).json["pfaId"] == pfa_id
        assert client.put(pfa_id, 1, model="X").json["newVersion"] == 2


def test_an_id_that_is_no_utf8_is_refused(client):
    assert client.send("GET", "/api/pems/pfa/%ff").status == 400


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_unknown_record_is_404(client, method):
    sent = body("R-9", 1, {"model": "X"}) if method == "PUT" else None
    answer = client.send(method, "/api/pems/pfa/R-9", sent)
    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")


def test_a_version_that_moved_on_is_409_with_the_fields_both_changed(client, sandbox):
    sandbox.change("R-1", model="Theirs", dor="BEO")
    sandbox.change("R-1", category="Loader")
    answer = client.put("R-1", 1, model="Mine", manufacturer="Mine", category="Crane")
    assert answer.status == 409
    assert answer.json["currentVersion"] == 3
    assert answer.json["conflictingFields"] == ["model", "category"]
    assert sandbox.record("R-1").data["model"] == "Theirs"


def test_a_version_that_moved_on_is_409_whatever_the_fields(client, sandbox):
    sandbox.change("R-1", model="Theirs")
    answer = client.put("R-1", 1, dor="BEO")
    assert (answer.status, answer.json["conflictingFields"]) == (409, [])
    assert client.put("R-1", 2, dor="BEO").status == 200


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"a": 1, "a": 2}', "is listed twice"),
        ([], "must be an object"),
        (body("R-2", 1, {"model": "X"}), "pfaId"),
        (body("R-1", 1, {"model": "X"}, "RIO2"), "organizationCode"),
        (body("R-1", 1, {}), "at least one field"),
        (body("R-1", 1, ["model"]), "at least one field"),
        (body("R-1", 1, {"nonsense": 1}), "unknown field"),
        (body("R-1", 1, {"originalStart": "2026-01-01"}), "cannot be written"),
        (body("R-1", 1, {"pfaId": "R-7"}), "cannot be written"),
        (body("R-1", 1, {"monthlyRate": -1}), "monthlyRate must not be negative"),
        (body("R-1", 1, {"source": "Lease"}), "source must be Rental or Purchase"),
        (body("R-1", 1, {"forecastStart": "2026-02-30"}), "forecastStart"),
        ({**body("R-1", 1, {"model": "X"}), "version": "1"}, "version must be a whole number"),
        ({**body("R-1", 1, {"model": "X"}), "version": None}, "version must be a whole number"),
        ({**body("R-1", 1, {"model": "X"}), "version": True}, "version must be a whole number"),
    ],
)
def test_a_body_that_is_wrong_is_400_changes_nothing_and_uses_no_key_up(
    client, sandbox, sent, message
):
    answer = client.send("PUT", "/api/pems/pfa/R-1", sent, Idempotency_Key="k")
    assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST")
    assert message in answer.json["message"]
    assert sandbox.log == ()
    assert client.put("R-1", 1, key="k", model="X").status == 200


def test_the_same_key_again_gets_the_first_answer_and_changes_nothing(client, sandbox):
    first = client.put("R-1", 1, key="k", model="A")
    sandbox.change("R-1", dor="BEO")
    again = client.put("R-1", 1, key="k", model="A")
    assert (again.status, again.json) == (first.status, first.json)
    assert sandbox.record("R-1").version == 3
    assert [(entry.outcome, entry.version) for entry in sandbox.log] == [
        ("applied", 2),
        ("applied", 3),
        ("replayed", None),
    ]


def test_a_refusal_is_the_answer_of_its_key_for_good(client):
    assert client.put("R-1", 7, key="k", model="A").status == 409
    assert client.put("R-1", 1, key="k", model="A").status == 409
    assert client.put("R-1", 1, key="other", model="A").status == 200


def test_a_key_used_for_another_body_shows_in_the_log(client, sandbox):
    client.put("R-1", 1, key="k", model="A")
    client.put("R-1", 1, key="k", model="A")
    assert client.put("R-1", 2, key="k", model="B").json["newVersion"] == 2
    assert [entry.same_body for entry in sandbox.log] == [True, True, False]
    assert sandbox.record("R-1").data["model"] == "A"


def test_a_pems_without_keys_applies_what_it_gets_and_refuses_the_version():
    with (
        Sandbox(organization="RIO", records=[record(1)], with_keys=False) as sandbox,
        Client(sandbox.url) as client,
    ):
        assert client.put("R-1", 1, key="k", model="A").status == 200
        assert client.put("R-1", 1, key="k", model="A").status == 409


def test_one_key_sent_by_many_at_once_is_applied_once(sandbox):
    def put(_: int) -> int:
        with Client(sandbox.url) as client:
            return client.put("R-1", 1, key="k", model="A").json["newVersion"]

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(put, range(64))) == {2}
    outcomes = [entry.outcome for entry in sandbox.log]
    assert (outcomes.count("applied"), outcomes.count("replayed")) == (1, 63)


def test_of_many_writers_on_one_version_one_wins(sandbox):
    def put(number: int) -> int:
        with Client(sandbox.url) as client:
            return client.put("R-1", 1, key=str(number), model=str(number)).status

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(put, range(64)))
    assert (statuses.count(200), statuses.count(409)) == (1, 63)
    assert sandbox.record("R-1").version == 2


def test_health_is_shown_without_credentials():
    with (
        Sandbox(tenant="T", username="u", password="p") as sandbox,
        Client(sandbox.url, None) as client,
    ):
        assert client.send("GET", "/api/pems/health").json == {"healthy": True}
        assert client.send("POST", "/api/pems/health", {}).status == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Authorization": ""}, 401),
        ({"Authorization": basic("u", "wrong")}, 401),
        ({"Authorization": basic("x", "pä:ss")}, 401),
        ({"Authorization": "Bearer " + basic("u", "pä:ss").split()[1]}, 401),
        ({"Authorization": "Basic !!"}, 401),
        ({"tenant": ""}, 400),
        ({"tenant": "OTHER"}, 403),
        ({"organization": ""}, 400),
        ({"organization": "RIO2"}, 403),
    ],
)
@pytest.mark.parametrize("service", ["rest", "grid", "screen"])
def test_credentials_tenant_and_organization_are_checked(headers, status, service):
    good = {"Authorization": basic("u", "pä:ss"), "tenant": "T"}
    with (
        Sandbox(
            organization="RIO", tenant="T", username="u", password="pä:ss", records=[record(1)]
        ) as sandbox,
        Client(sandbox.url, **good | headers) as client,
    ):
        ask = {
            "rest": lambda: client.get("R-1"),
            "grid": lambda: client.grid(),
            "screen": lambda: client.screen("GET", "R-1"),
        }
        answer = ask[service]()
        assert answer.status == status
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert "pä:ss" not in str(answer.json)


def test_what_a_test_may_ask_needs_the_credentials_too():
    with Sandbox(username="u", password="p") as sandbox, Client(sandbox.url) as client:
        assert client.send("GET", "/sandbox/log").status == 401
        allowed = client.send("GET", "/sandbox/log", Authorization=basic("u", "p"))
        assert (allowed.status, allowed.json) == (200, {"data": []})


def test_the_password_shows_nowhere():
    sandbox = Sandbox(username="u", password="canary-7f")
    assert "canary-7f" not in repr(sandbox) + repr(sandbox._access)


@pytest.mark.parametrize("given", [{"username": "u"}, {"password": "p"}])
def test_a_name_without_a_password_is_refused(given):
    with pytest.raises(ConfigInvalid):
        Sandbox(**given)


def test_a_sandbox_of_many_organizations_keeps_their_records_apart():
    records = [record(1, organization="RIO"), record(1, organization="RIO2", model="Other")]
    with Sandbox(records=records) as sandbox, Client(sandbox.url, "RIO2") as client:
        assert client.put("R-1", 1, org="RIO2", dor="BEO").status == 200
        assert sandbox.record("R-1", "RIO").version == 1
        assert sandbox.record("R-1", "RIO2").version == 2
        with pytest.raises(InvalidRequest):
            sandbox.record("R-1")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/pems/pfa/", 404),
        ("GET", "/api/pems/pfa/R-1/more", 404),
        ("GET", "/sandbox/", 404),
        ("GET", "/sandbox/nonsense", 404),
        ("GET", "/sandbox/log/1", 404),
        ("DELETE", "/api/pems/pfa/R-1", 405),
        ("GET", "/axis/restservices/griddata", 405),
        ("GET", "/axis/restservices/userdefinedscreenservices", 405),
        ("DELETE", "/sandbox/log", 405),
        ("DELETE", "/sandbox/records", 405),
        ("POST", "/sandbox/records/R-1", 405),
        ("POST", "/sandbox/faults", 405),
        ("GET", "/sandbox/log?after=x", 400),
        ("PUT", "/sandbox/faults", 400),
        ("PUT", "/sandbox/records/R-1", 400),
    ],
)
def test_other_addresses_and_methods_are_refused(client, method, path, status):
    assert client.send(method, path).status == status


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000, 400),
        (b"GET /" + b"y" * 70_000, 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
    ],
)
def test_what_is_no_request_ends_the_connection_with_an_answer(sandbox, sent, status):
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as raw:
        raw.settimeout(5)
        raw.sendall(sent)
        shown = b""
        while piece := raw.recv(65536):
            shown += piece
    assert shown.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in shown


def test_a_connection_is_kept_until_the_sender_wants_it_closed(client):
    client.get("R-1")
    kept = client.connection.sock
    client.get("R-2")
    assert client.connection.sock is kept
    assert client.send("GET", "/api/pems/health", Connection="close").headers["connection"] == (
        "close"
    )
    assert client.connection.sock is None


def test_a_sender_that_waits_for_a_go_ahead_gets_it(sandbox):
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as raw:
        raw.settimeout(5)
        raw.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 100 ")
        raw.sendall(b"{}")
        assert raw.recv(100).startswith(b"HTTP/1.1 404 ")


def test_leaving_cuts_connections_and_frees_the_port():
    with Sandbox() as sandbox, Client(sandbox.url) as client:
        client.send("GET", "/api/pems/health")
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(IoFailure), Sandbox(port=port):
            pass
        sandbox.__exit__()
        with pytest.raises(OSError):
            client.send("GET", "/api/pems/health")
    with Sandbox(port=port) as again:
        assert again.url.endswith(f":{port}")


def test_a_third_party_changes_creates_and_removes_records(client, sandbox):
    changed = client.send("PUT", "/sandbox/records/R-1", {"changes": {"originalEnd": "2027-01-01"}})
    assert (changed.status, changed.json["newVersion"]) == (200, 2)
    created = client.send(
        "PUT", "/sandbox/records/R-7", {"changes": {"model": "X"}, "modifiedBy": "ann"}
    )
    assert (created.status, created.json["newVersion"]) == (200, 1)
    assert client.get("R-7").json["data"]["model"] == "X"
    assert client.send("DELETE", "/sandbox/records/R-2").status == 200
    assert client.send("DELETE", "/sandbox/records/R-2").status == 404
    assert client.get("R-2").status == 404
    assert client.send("GET", "/sandbox/records/R-7").json["version"] == 1
    listed = client.send("GET", "/sandbox/records").json["data"]
    assert {item["pfaId"]: item["version"] for item in listed} == {"R-1": 2, "R-3": 1, "R-7": 1}
    assert [(entry.write.writer, entry.write.by) for entry in sandbox.log] == [
        ("other", "another user"),
        ("other", "ann"),
        ("other", "another user"),
        ("other", "another user"),
    ]


def test_the_same_is_one_call_in_process(sandbox):
    sandbox.change("R-1", model="X")
    sandbox.change("R-7", model="Y")
    sandbox.remove("R-2")
    assert [(held.pfa_id, held.version) for held in sandbox.records] == [
        ("R-1", 2),
        ("R-3", 1),
        ("R-7", 1),
    ]
    with pytest.raises(NotFound):
        sandbox.record("R-2")
    with pytest.raises(InvalidRequest, match="unknown field"):
        sandbox.change("R-1", nonsense=1)


def test_the_log_tells_who_wrote_what_with_which_key_in_which_order(client):
    client.put("R-1", 1, key="k1", model="A")
    client.put("R-2", 5, key="k2", model="B")
    client.put("R-1", 1, key="k1", model="A")
    entries = client.send("GET", "/sandbox/log").json["data"]
    assert entries[0] == {
        "seq": 1,
        "at": "2026-11-23T12:00:00.000Z",
        "outcome": "applied",
        "status": 200,
        "writer": "rest",
        "organizationCode": "RIO",
        "pfaId": "R-1",
        "key": "k1",
        "baseVersion": 1,
        "version": 2,
        "changes": {"model": "A"},
        "modifiedBy": "jdoe",
        "changeReason": "weather",
        "answer": {
            "newVersion": 2,
            "updatedAt": "2026-11-23T12:00:00.000Z",
            "message": "R-1 was updated",
        },
        "sameBody": True,
    }
    assert [(item["seq"], item["outcome"], item["status"], item["key"]) for item in entries] == [
        (1, "applied", 200, "k1"),
        (2, "refused", 409, "k2"),
        (3, "replayed", 200, "k1"),
    ]
    assert client.send("GET", "/sandbox/log?after=2").json["data"] == entries[2:]


def test_loading_again_leaves_known_records_alone(sandbox):
    sandbox.change("R-1", model="X")
    assert sandbox.load([record(1), record(8)]) == 1
    assert (sandbox.record("R-1").version, sandbox.record("R-1").data["model"]) == (2, "X")
    assert sandbox.record("R-8").version == 1


def test_loading_is_all_or_nothing_and_tells_every_fault(sandbox):
    with pytest.raises(InvalidData, match="2 of 3") as refused:
        sandbox.load([record(8), record(9, source="Lease"), {"model": "X"}])
    assert [(fault.position, fault.field) for fault in refused.value.details] == [
        ("record 2", "source"),
        ("record 3", "pfaId"),
    ]
    assert len(sandbox.records) == 3


def test_a_record_without_an_organization_needs_one_of_the_sandbox():
    with pytest.raises(InvalidData), Sandbox(records=[record(1)]):
        pass


def test_a_watcher_sees_every_answer():
    shown = []
    with (
        Sandbox(
            watcher=lambda request, response: shown.append((request.path, response.status))
        ) as sandbox,
        Client(sandbox.url) as client,
    ):
        client.get("R-1")
    assert shown == [("/api/pems/pfa/R-1", 404)]
