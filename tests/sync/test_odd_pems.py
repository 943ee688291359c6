"""A PEMS that says odd things: nothing is lost, no wait is endless, no secret shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import pfa_core
from pfa_core import errors, exact_json
from pfa_core.model.secret import Secret
from pfa_core.pems.profile import GridSettings
from pfa_core.pems.sandbox.http import Request, Response, json_response
from pfa_core.sync.pull import page_fetch
from tests.factories import World, a_principal, a_world, commit, draft, is_bound, record
from tests.forms import long
from tests.pems_server import a_far_side, a_profile, answering
from tests.worlds import built_once

SECRET = "hunter2pw"


@built_once
def world(url: str) -> World:
    return a_world(url, *(record(f"P-{n:02}") for n in range(1, 16)), users={"ann": "admin"})


def committed(world: World, number: int = 1, session: str = "s") -> None:
    for place in range(1, number + 1):
        draft(world.db, world.principal(), f"P-{place:02}", session=session, model="New")
    commit(world.db, world.principal(), session=session)


def push(world: World, answer: Callable[[Request], Response], **profile: Any) -> Any:
    with answering(answer) as url:
        return pfa_core.push_changes(world.db, world.principal(), a_profile(url, **profile))


def grid(rows: list[dict[str, Any]], **more: Any) -> Response:
    cells = [{"CELL": [{"ALIAS_NAME": k, "VALUE": v} for k, v in row.items()]} for row in rows]
    return json_response(
        200, {"Result": {"ResultData": {"GRID": {**more, "DATA": {"ROW": cells}}}}}
    )


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [{"pfs_id": f"P-{number:02}", "pfs_a_org": "ORG"} for number in numbers]


def paged(numbers: range, total: Callable[[int, int], Any]) -> Callable[[Request], Response]:
    """Pages of the rows, each with a total that may lie: of all, and of the page."""

    def answer(request: Request) -> Response:
        asked = request.json()["GRID"]
        offset, size = asked["ROW_OFFSET"], asked["NUMBER_OF_ROWS_FIRST_RETURNED"]
        page = rows(*numbers)[offset : offset + size]
        wanted = total(len(numbers), len(page))
        return grid(page, **({} if wanted is None else {"TOTALROWS": wanted}))

    return answer


def pull(world: World, answer: Callable[[Request], Response], size: int = 4, **options: Any) -> Any:
    with answering(answer) as url:
        profile = a_profile(url, grid=GridSettings(page_size=size), retry_delay=0.01)
        return pfa_core.pull_pems(world.db, world.principal(), profile, _asked(**options))


def _asked(**options: Any) -> pfa_core.PullOptions:
    """Options of a pull from a PEMS whose rows have few of the fields."""
    return pfa_core.PullOptions(allow_emptied={"all"}, **options)


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "total",
    [lambda all_, page: 4, lambda all_, page: 0, lambda all_, page: "5", lambda all_, page: page,
     lambda all_, page: -1, lambda all_, page: "many"],
)  # fmt: skip
def test_a_total_that_is_too_small_ends_nothing_and_marks_nothing(world, total):
    result = pull(world, paged(range(1, 16), total))
    assert (result.status, result.total, result.missing) == ("completed", 15, 0)


@pytest.mark.slow
def test_a_total_that_is_too_large_is_partial_and_the_next_pull_reads_from_the_beginning(world):
    answer = paged(range(1, 16), lambda all_, page: all_ + 5)
    for _ in range(3):
        result = pull(world, answer)
        assert (result.status, result.total, result.missing) == ("partial", 15, 0)


def capped(numbers: range, cap: int) -> Callable[[Request], Response]:
    """A PEMS that gives at most so many rows, and calls those of the page the total."""
    answer = paged(numbers, lambda all_, page: page)

    def less(request: Request) -> Response:
        body = request.json()
        body["GRID"]["NUMBER_OF_ROWS_FIRST_RETURNED"] = min(
            cap, body["GRID"]["NUMBER_OF_ROWS_FIRST_RETURNED"]
        )
        return answer(replace(request, body=exact_json.dumps(body).encode()))

    return less


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("size", [1, 2, 4, 30])
def test_pages_that_are_capped_and_totals_that_are_theirs_mark_nothing(world, size):
    result = pull(world, capped(range(1, 16), max(size - 1, 2)), size)
    assert (result.status, result.total, result.missing) == ("completed", 15, 0)


@pytest.mark.slow
def test_rows_that_are_inserted_while_the_pages_come_are_all_read_once(world):
    numbers = list(range(10, 50))
    asked = iter(range(1000))

    def answer(request: Request) -> Response:
        if next(asked) in (2, 4, 6, 8, 10, 12, 14):
            numbers.insert(0, numbers[0] - 1)
        wanted = request.json()["GRID"]
        offset, size = wanted["ROW_OFFSET"], wanted["NUMBER_OF_ROWS_FIRST_RETURNED"]
        return grid(rows(*numbers)[offset : offset + size])

    result = pull(world, answer, size=3)
    assert result.status == "completed"
    assert {f"P-{number:02}" for number in range(10, 50)} <= world.mirror().keys()
    assert not {f"P-{number}" for number in range(10, 50)} & set(missing(world))


@pytest.mark.variants(1)
@pytest.mark.parametrize("gone", [5, 9, 13])
def test_more_rows_than_a_page_that_go_before_the_position_lose_none(world, gone):
    numbers = list(range(10, 60))
    asked = iter(range(1000))

    def answer(request: Request) -> Response:
        if next(asked) == 4:
            del numbers[:gone]
        wanted = request.json()["GRID"]
        offset, size = wanted["ROW_OFFSET"], wanted["NUMBER_OF_ROWS_FIRST_RETURNED"]
        return grid(rows(*numbers)[offset : offset + size])

    result = pull(world, answer, size=4)
    assert result.status == "completed"
    assert {f"P-{number}" for number in numbers} <= world.mirror().keys()
    assert not {f"P-{number}" for number in numbers} & set(missing(world))


def missing(world: World) -> list[str]:
    found = world.rows("SELECT pfa_id FROM pfa_mirror WHERE missing_since IS NOT NULL")
    return [row[0] for row in found]


def test_a_pull_since_a_time_that_was_named_is_no_base_of_incremental_ones(world):
    def stamps(answer: Callable[[Request], Response]) -> list[str]:
        seen: list[str] = []

        def watching(request: Request) -> Response:
            wanted = request.json()["ADDON_FILTER"]
            seen.append(wanted[1]["VALUE"] if isinstance(wanted, list) else "")
            return answer(request)

        watched.append(watching)
        return seen

    watched: list[Callable[[Request], Response]] = []
    seen = stamps(paged(range(1, 16), lambda all_, page: None))
    with answering(watched[0]) as url:
        profile = a_profile(url)

        def go(**options: Any) -> Any:
            asked = _asked(**options)
            return pfa_core.pull_pems(world.db, world.principal(), profile, asked)

        go()
        world.execute(
            "UPDATE pfa_sync_log SET started_at = (started_at AT TIME ZONE 'UTC' - interval '2 days')"
            " AT TIME ZONE 'UTC'"
        )
        go(since=datetime.now(UTC) - timedelta(hours=1))
        seen.clear()
        go(incremental=True)
    assert datetime.fromisoformat(seen[0]) < datetime.now(UTC) - timedelta(days=1)


def test_a_resumed_pull_with_nothing_behind_begins_anew(world):
    answers = iter(range(100))
    good = paged(range(1, 16), lambda all_, page: None)

    def cut_off(request: Request) -> Response:
        return good(request) if next(answers) < 2 else Response(500)

    assert pull(world, cut_off).status == "partial"
    result = pull(world, paged(range(1, 5), lambda all_, page: None))
    assert (result.status, result.total, result.missing) == ("completed", 4, 11)


def test_a_page_that_comes_again_and_again_ends_the_pull(world):
    result = pull(world, lambda request: grid(rows(1, 1)))
    assert result.status == "partial"
    result = pull(world, lambda request: grid(rows(1, 2, 3, 4)))
    assert (result.status, result.missing) == ("partial", 0)


def test_a_row_that_does_not_say_whose_it_is_is_refused(world):
    page = [{"pfs_id": "N-1"}, {"pfs_id": "N-2", "pfs_a_org": ""}, *rows(1)]
    result = pull(world, lambda request: grid(page, TOTALROWS=3), size=10)
    assert (result.total, result.rejected, result.foreign) == (3, 2, 2)
    assert not {"N-1", "N-2"} & world.mirror().keys()


def test_a_cell_that_is_no_text_is_not_stored_as_python(world):
    page = [{"pfs_id": ["list"], "pfs_a_org": "ORG"}, *rows(1)]
    pull(world, lambda request: grid(page, TOTALROWS=2), size=10)
    assert not any("'" in pfa_id for pfa_id in world.mirror())


@pytest.mark.parametrize("status", ["suspended", "archived"])
def test_nothing_is_exchanged_for_an_organization_that_is_not_active(world, status):
    committed(world)
    world.execute("UPDATE pfa_organization SET status = %s", status)
    for call in (
        lambda: pull(world, lambda request: Response(500)),
        lambda: push(world, lambda r: Response(500)),
    ):
        with pytest.raises(errors.Forbidden, match=status):
            call()


# --- push ---------------------------------------------------------------------------------------------


def reading(version: Any = 1) -> Response:
    wanted = {"pfaId": "P-01", "organizationCode": "ORG", "version": version, "updatedAt": "",
            "data": {"model": "LTM 1030"}}  # fmt: skip
    return json_response(200, wanted)


@pytest.mark.variants(1)
@pytest.mark.parametrize("version", ["9" * 5000, None, *long([10**30, -1, 1.5, True, "x", ""])])
def test_a_version_that_is_none_is_that_record_s_failure_only(world, version):
    committed(world, 2)

    def answer(request: Request) -> Response:
        if request.method == "PUT":
            return json_response(200, {"newVersion": version})
        return reading()

    result = None
    with suppress(errors.PemsUnavailable):
        result = push(world, answer)
    assert result is None or result.synced == 0
    states = dict(world.rows("SELECT state, count(*) FROM pfa_modification GROUP BY 1"))
    assert states.keys() <= {"sync_error", "committed"}


def test_a_password_that_pems_repeats_in_an_alert_shows_nowhere(world, monkeypatch):
    monkeypatch.setattr("pfa_core.sync.pull.page_fetch.MAX_RETRY_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("pfa_core.sync.push.retry_wait.MAX_RETRY_WAIT_SECONDS", 0.01)
    committed(world)
    alert = json_response(200, {"ErrorAlert": [{"Message": f"password {SECRET} refused"}]})
    shown: list[str] = []
    for writer in ("rest", "screen"):
        try:
            result = push(
                world, lambda request: alert, username="u", password=Secret(SECRET), writer=writer
            )
            shown += [repr(result)]
        except errors.PfaError as error:
            shown += [error.message, repr(error.details)]
    with answering(lambda request: alert) as url:
        profile = a_profile(url, username="u", password=Secret(SECRET))
        with pytest.raises(errors.PemsRejected) as raised:
            pfa_core.pull_pems(world.db, world.principal(), profile)
    shown += [raised.value.message]
    for table in ("pfa_modification", "pfa_sync_outcome", "pfa_sync_log", "audit_log"):
        shown += [str(world.rows(f"SELECT * FROM {table}"))]
    assert "refused" in "".join(shown)
    assert SECRET not in "".join(shown)


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "answer",
    [Response(302, headers={"Location": "https://login.example/"}), Response(404, b"<html>"),
     json_response(403, {"message": "no"}), Response(401)],
)  # fmt: skip
def test_a_refusal_that_is_about_pems_as_a_whole_makes_no_dead_letters(world, answer):
    committed(world, 12)
    with pytest.raises(errors.PemsRejected) as raised:
        push(world, lambda request: answer)
    assert raised.value.exit_code == 78
    dead = world.rows(
        "SELECT count(*) FROM pfa_modification WHERE state = 'sync_error' AND next_attempt_at IS NULL"
    )
    assert dead == [(0,)]


def test_one_change_beside_a_pems_that_is_away_for_long_is_no_dead_letter(world):
    committed(world)
    with pytest.raises(errors.PemsUnavailable):
        push(world, lambda request: Response(503))
    assert world.rows("SELECT failures, next_attempt_at IS NULL FROM pfa_modification") == [
        (0, False)
    ]


@pytest.mark.slow
def test_a_bug_at_one_record_does_not_hold_up_the_others(database_url, monkeypatch):
    from pfa_core.pems.services.rest import RestWriter

    with a_far_side(database_url, record("P-1"), record("P-2")) as far:
        for number in (1, 2):
            draft(far.db, far.ann, f"P-{number}", model="New")
        commit(far.db, far.ann)
        read = RestWriter.read
        monkeypatch.setattr(
            RestWriter,
            "read",
            lambda self, pfa_id: 1 / 0 if pfa_id == "P-1" else read(self, pfa_id),
        )
        result = far.push()
        assert (result.synced, result.rejected) == (1, 1)
        assert result.problems[0].code == "INTERNAL"
        monkeypatch.undo()
        assert pfa_core.retry(far.db, far.ann, far.profile).push.synced == 1
        far.world.db.close()


def test_the_retry_of_a_refused_write_is_a_new_write_to_pems(world):
    committed(world)
    keys: list[str] = []

    def answer(request: Request) -> Response:
        if request.method == "GET":
            return reading()
        keys.append(request.headers["idempotency-key"])
        if len(set(keys)) == 1:
            return json_response(422, {"message": "the class is closed"})
        return json_response(200, {"newVersion": 2, "updatedAt": "2026-11-25T00:00:00Z"})

    assert push(world, answer).rejected == 1
    with answering(answer) as url:
        result = pfa_core.retry(world.db, world.principal(), a_profile(url))
    assert result.push.synced == 1
    assert len(set(keys)) == 2


@pytest.mark.long
def test_a_deadline_ends_a_push_however_slow_its_rate_and_says_so(database_url):
    with a_far_side(database_url, *(record(f"P-{n}") for n in range(20))) as far:
        for number in range(20):
            draft(far.db, far.ann, f"P-{number}", model="New")
        commit(far.db, far.ann)
        began = time.monotonic()
        result = far.push(deadline=timedelta(seconds=0.6), rate=2, concurrency=8)
        assert time.monotonic() - began < 3
        assert (result.status, result.message) == ("partial", "the deadline passed")
        assert result.waiting == 20 - result.synced
        assert result.stop_reason is pfa_core.StopReason.DEADLINE
        far.world.db.close()


@pytest.mark.slow
def test_what_waits_behind_a_conflict_is_said_and_not_planned(database_url):
    with a_far_side(database_url, record("P-1")) as far:
        for session in ("r", "s", "t"):
            draft(far.db, far.ann, "P-1", session=session, model=session)
            commit(far.db, far.ann, session=session)
        far.pems.change("P-1", model="Theirs")
        assert far.push().conflicts == 1
        assert pfa_core.plan_push(far.db, far.ann) == []
        result = far.push()
        assert (result.total, result.waiting, result.blocked) == (0, 2, 2)
        far.world.db.close()


@pytest.mark.long
def test_a_pusher_who_is_revoked_meanwhile_claims_nothing_more(database_url):
    with a_far_side(
        database_url,
        *(record(f"P-{n:03}") for n in range(900)),
        users={"ann": "admin", "bob": "editor"},
    ) as far:
        pfa_core.set_fields(far.db, far.ann, pfa_core.Filters(), {"model": "New"}, session_id="s")
        commit(far.db, far.ann)
        bob = far.world.principal("bob")
        other = far.db.beside()
        seen: list[int] = []

        def watch(request: Request, response: Response) -> None:
            seen.append(1)
            if len(seen) == 5:
                pfa_core.revoke(other, far.ann, "bob")

        far.pems._watcher = watch
        with pytest.raises(errors.Forbidden):
            pfa_core.push_changes(far.db, bob, far.profile)
        other.close()
        states = far.states()
        # The database settles nothing for who was a member: the next push reads back what was sent.
        assert states.keys() <= {"committed", "synced", *(["syncing"] if is_bound() else [])}
        assert states["committed"] > 0
        far.pems._watcher = lambda *_: None
        far.world.execute("DELETE FROM pfa_lease")  # as when it has expired
        assert far.push().recovered == states.get("syncing", 0)
        assert far.states() == {"synced": 900}
        far.require_once()
        far.world.db.close()


def test_a_secret_file_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    environ = {
        "PFA_PEMS_URL": "http://x",
        "PFA_PEMS_USERNAME": "u",
        "PFA_PEMS_PASSWORD_FILE": str(pipe),
    }
    with pytest.raises(errors.ConfigInvalid):
        pfa_core.pems_profile(pfa_core.resolve(environ={}), "ORG", environ)
    environ["PFA_PEMS_PASSWORD_FILE"] = str(tmp_path / "none")
    with pytest.raises(errors.ConfigInvalid, match="PFA_PEMS_PASSWORD_FILE"):
        pfa_core.pems_profile(pfa_core.resolve(environ={}), "ORG", environ)


def test_numbers_in_pems_s_texts_are_hidden_from_who_may_see_no_money(world, caplog):
    rights = ["read", "refresh_data"]
    world.add_user("rf", "viewer", rights=rights)
    blind = a_principal("rf", rights=rights)
    with answering(lambda _: json_response(503, {"message": "rate 1234567.89"})) as url:
        profile = a_profile(url, retry_delay=0.01, retries=1)
        with pytest.raises(errors.PemsUnavailable) as refused:
            pfa_core.pull_pems(world.db, blind, profile)
    waits = [item.fields for item in caplog.records if getattr(item, "event", "") == "waiting"]
    assert len(waits) == 1
    assert "1234567" not in refused.value.message + str(waits)


def test_a_wait_is_logged_as_long_as_it_is(world, caplog, monkeypatch):
    monkeypatch.setattr(page_fetch, "MAX_RETRY_WAIT_SECONDS", 0.05)
    away = Response(503, b"{}", {"Retry-After": "1000"})
    with answering(lambda _: away) as url, pytest.raises(errors.PemsUnavailable):
        pfa_core.pull_pems(world.db, world.principal(), a_profile(url, retries=1))
    waits = [item.fields for item in caplog.records if getattr(item, "event", "") == "waiting"]
    assert [wait["seconds"] for wait in waits] == [0.05]
