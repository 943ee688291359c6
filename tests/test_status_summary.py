"""Where one stands: status, runs, the audit trail."""

from __future__ import annotations

import threading

import pytest

import pfa_core
from pfa_core import Selection, errors
from pfa_core.status_summary import StatusReport
from tests.factories import World, a_world, commit, draft, record
from tests.pems_server import a_pems_beside
from tests.worlds import built_once


@built_once
def world(url: str) -> World:
    return a_world(url, record("P-1"), record("P-2"), users={"ann": "admin", "bob": "editor"})


def status(world: World, user: str = "ann") -> StatusReport:
    return pfa_core.status(world.db, world.principal(user))


def sessions(world: World, user: str = "ann") -> list[tuple[str, str, int, int]]:
    return [(s.session_id, s.state, s.records, s.overtaken) for s in status(world, user).sessions]


class TestStatus:
    def test_before_the_first_pull_the_next_step_is_to_pull(self, database_url: str) -> None:
        report = status(a_world(database_url))
        assert (report.record_count, report.baseline_at, report.runs) == (0, None, [])
        assert report.next_command == "pfa sync pull --from FILE"

    def test_with_nothing_drafted_the_next_step_is_to_look(self, world: World) -> None:
        report = status(world)
        assert (report.organization_id, report.user_id, report.role) == ("ORG", "ann", "admin")
        assert (report.record_count, report.sessions, report.drafts) == (2, [], 0)
        assert (report.committed, report.conflicts, report.overtaken) == (0, 0, 0)
        assert [run.status for run in report.runs] == ["completed"]
        assert report.baseline_at == report.runs[0].finished_at
        assert report.next_command == "pfa list"

    def test_sessions_are_counted_by_state_the_latest_first(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", session="old", model="A")
        draft(world.db, world.principal(), "P-2", session="old", model="A")
        commit(world.db, world.principal(), session="old")
        draft(world.db, world.principal(), "P-1", session="new", model="B")
        draft(world.db, world.principal("bob"), "P-1", session="his", model="C")
        assert sessions(world) == [("new", "draft", 1, 0), ("old", "committed", 2, 0)]
        report = status(world)
        assert (report.drafts, report.committed) == (1, 2)
        assert report.next_command == "pfa commit --session new"
        assert sessions(world, "bob") == [("his", "draft", 1, 0)]

    def test_what_a_killed_push_had_in_hand_is_pushed_again_next(self, world: World) -> None:
        draft(world.db, world.principal(), model="A")
        commit(world.db, world.principal())
        world.owner.transact(
            lambda conn: conn.execute(
                "UPDATE pfa_modification SET state = 'syncing', claim_id = '00000000-0000-4000-8000-0000000000c1'"
            )
        )
        assert status(world).committed == 1
        assert status(world).next_command == "pfa sync push"

    @pytest.mark.parametrize(
        ("state", "drafts", "waiting"),
        [("archived", "pfa list", "pfa list"), ("suspended", "pfa commit --session s", "pfa list")],
    )
    def test_where_nothing_is_exchanged_the_next_step_is_one_that_is_taken(
        self, world: World, state: str, drafts: str, waiting: str
    ) -> None:
        def put(value: str) -> None:
            world.execute("UPDATE pfa_organization SET status = %s", value)

        draft(world.db, world.principal(), session="s", model="A")
        put(state)
        report = status(world)
        assert (report.organization_status, report.next_command) == (state, drafts)
        put("active")
        commit(world.db, world.principal())
        assert status(world).next_command == "pfa sync push"
        put(state)
        assert status(world).next_command == waiting

    def test_a_session_s_name_is_quoted_for_the_shell(self, world: World) -> None:
        draft(world.db, world.principal(), session="it's; rm -rf", model="A")
        assert status(world).next_command == """pfa commit --session 'it'"'"'s; rm -rf'"""

    def test_drafts_that_pems_moved_under_are_counted_where_they_are(self, world: World) -> None:
        draft(world.db, world.principal(), "P-1", session="a", model="mine")
        draft(world.db, world.principal(), "P-2", session="a", model="mine")
        draft(world.db, world.principal("bob"), "P-1", session="his", dor="BEO")
        world.pull([record("P-1", model="theirs"), record("P-2", monthlyRate=7)])
        assert sessions(world) == [("a", "draft", 2, 1)]
        assert status(world).overtaken == 1
        assert status(world).next_command == "pfa commit --session a --dry-run"
        assert sessions(world, "bob") == [("his", "draft", 1, 0)]

    def test_a_committed_change_can_be_overtaken_too(self, world: World) -> None:
        draft(world.db, world.principal(), model="mine")
        commit(world.db, world.principal())
        world.pull([record("P-1", model="theirs")])
        assert sessions(world) == [("s", "committed", 1, 1)]

    def test_a_failed_pull_does_not_make_the_baseline_younger(self, world: World) -> None:
        before = status(world).baseline_at
        with pytest.raises(errors.InvalidData):
            world.pull([{"pfaId": "P-1", "organization": "ANOTHER"}])
        report = status(world)
        assert report.baseline_at == before
        assert [run.status for run in report.runs] == ["failed", "completed"]

    def test_a_pull_that_was_interrupted_is_the_next_step(self, world: World) -> None:
        began = status(world)
        assert began.pull_interrupted_at is None
        with a_pems_beside(world, *(record(f"P-{n}") for n in range(1, 8)), page_size=3) as far:
            stop = threading.Event()
            far.pems._watcher = lambda request, response: stop.set()
            run = pfa_core.pull_pems(far.db, far.ann, far.profile, stop=stop)
            assert run.status == "partial"
            report = status(world)
            assert report.baseline_at == began.baseline_at
            assert report.pull_interrupted_at == report.runs[0].finished_at
            assert report.next_command == "pfa sync pull"
            far.pems._watcher = None
            assert far.pull().status == "completed"
        report = status(world)
        assert (report.pull_interrupted_at, report.next_command) == (None, "pfa list")

    def test_a_run_is_running_while_its_lease_is_in_force_and_failed_after(
        self, world: World
    ) -> None:
        world.execute("UPDATE pfa_sync_log SET status = 'running', finished_at = NULL")
        (killed,) = status(world).runs
        assert (killed.status, killed.finished_at) == ("failed", None)
        assert killed.message == "process disappeared (killed or host down)"
        shown = pfa_core.show_run(world.db, world.principal(), killed.run_id).run
        assert (shown.status, shown.message) == (killed.status, killed.message)
        for until, seen in (("1 minute", "running"), ("-1 minute", "failed")):
            world.execute("DELETE FROM pfa_lease")
            world.execute(
                "INSERT INTO pfa_lease (organization_id, name, owner_id, owner, acquired_at, expires_at)"
                f" SELECT organization_id, direction, run_id, user_id, now(), now() + interval '{until}'"
                " FROM pfa_sync_log"
            )
            assert [run.status for run in status(world).runs] == [seen]

    def test_a_viewer_may_look(self, world: World) -> None:
        world.add_user("vera", "viewer")
        assert (status(world, "vera").role, status(world, "vera").drafts) == ("viewer", 0)


class TestRuns:
    def test_the_latest_come_first_and_a_limit_ends_them(self, world: World) -> None:
        second = world.pull([record("P-1", model="X")]).run_id
        third = world.pull([record("P-1", model="Y")]).run_id
        ann = world.principal()
        runs = [run.run_id for run in pfa_core.list_runs(world.db, ann)]
        assert (runs[:2], len(runs)) == ([third, second], 3)
        assert [run.run_id for run in pfa_core.list_runs(world.db, ann, limit=1)] == [third]

    def test_another_organization_s_run_is_not_found(self, world: World) -> None:
        there = a_world(world.url, record("P-1"), organization="THERE")
        run = pfa_core.list_runs(there.db, there.principal())[0]
        assert pfa_core.show_run(there.db, there.principal(), run.run_id).run == run
        with pytest.raises(errors.NotFound):
            pfa_core.show_run(world.db, world.principal(), run.run_id)
        assert run.run_id not in [r.run_id for r in pfa_core.list_runs(world.db, world.principal())]

    @pytest.mark.parametrize("run_id", ["", "none", "' OR 1=1 --", "\0", "\udcff", "1" * 10_000])
    def test_what_is_no_run_is_not_found(self, world: World, run_id: str) -> None:
        with pytest.raises(errors.NotFound):
            pfa_core.show_run(world.db, world.principal(), run_id)

    def test_an_id_is_found_in_capitals_too(self, world: World) -> None:
        run = pfa_core.list_runs(world.db, world.principal())[0]
        found = pfa_core.show_run(world.db, world.principal(), f" {run.run_id.upper()} ")
        assert (found.run, found.outcomes) == (run, [])

    @pytest.mark.parametrize("limit", [0, -1, 100_001])
    def test_a_limit_that_makes_no_sense_is_refused(self, world: World, limit: int) -> None:
        with pytest.raises(errors.InvalidRequest):
            pfa_core.list_runs(world.db, world.principal(), limit=limit)
        with pytest.raises(errors.InvalidRequest):
            pfa_core.list_log(world.db, world.principal(), limit=limit)


class TestLog:
    def actions(self, world: World, user: str = "ann", **rest: str | int) -> list[tuple[str, str]]:
        entries = pfa_core.list_log(world.db, world.principal(user), **rest)
        return [(entry.action, entry.user_id) for entry in entries]

    def test_every_step_is_there_the_newest_first(self, world: World) -> None:
        ann = world.principal()
        everything = Selection(everything=True)
        draft(world.db, ann, "P-1", model="A", dor="BEO")
        pfa_core.unset_fields(world.db, ann, pfa_core.Filters(), ["dor"])
        commit(world.db, ann)
        pfa_core.uncommit(world.db, ann, everything)
        pfa_core.discard(world.db, ann, everything)
        pfa_core.grant(world.db, ann, "carl", "viewer")
        pfa_core.revoke(world.db, ann, "carl")
        assert [action for action, _ in self.actions(world)] == [
            "revoke",
            "grant",
            "discard",
            "uncommit",
            "commit",
            "unset",
            "save",
            "pull",
            "begin",
        ]
        assert [action for action, _ in self.actions(world, limit=2)] == ["revoke", "grant"]
        assert [action for action, _ in self.actions(world, pfa_id="P-1", session_id="s")] == [
            "discard",
            "uncommit",
            "commit",
            "unset",
            "save",
        ]

    def test_others_see_only_their_own_entries(self, world: World) -> None:
        draft(world.db, world.principal("ann"), model="A")
        draft(world.db, world.principal("bob"), model="B")
        assert self.actions(world, "bob") == [("save", "bob")]
        assert self.actions(world, "ann")[:2] == [("save", "bob"), ("save", "ann")]
        assert self.actions(world, "bob", pfa_id="P-1") == [("save", "bob")]

    def test_a_refused_call_leaves_no_entry(self, world: World) -> None:
        before = self.actions(world)
        with pytest.raises(errors.InvalidData):
            draft(world.db, world.principal(), dor="HQ")
        assert self.actions(world) == before

    def test_another_organization_s_entries_stay_there(self, world: World) -> None:
        there = a_world(world.url, record("P-9"), organization="THERE")
        assert self.actions(there) == [("pull", "ann"), ("begin", "ann")]
        with pytest.raises(errors.NotFound):
            pfa_core.list_log(world.db, world.principal(), pfa_id="P-9")

    @pytest.mark.parametrize("where", ["pfa_id", "session_id"])
    @pytest.mark.parametrize("text", ["a\0b", "\ud800"])
    def test_a_text_that_no_database_holds_is_refused_or_finds_nothing(
        self, world: World, where: str, text: str
    ) -> None:
        try:
            found = pfa_core.list_log(world.db, world.principal(), **{where: text})
        except errors.InvalidRequest:
            found = []
        assert found == []
