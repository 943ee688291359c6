"""The oldest entries of the trail go into a file, once, and the chain verifies across it."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import pfa_core
from pfa_core import Change, LogFilter, Selection, errors
from tests import citus
from tests.audit.aging import age
from tests.factories import SelfClosing, World, a_world, commit, draft, record
from tests.server import Server
from tests.worlds import built_once


def lived(url: str) -> World:
    """A trail of a year ago: drafts with odd texts, commits, a discard that was restored and one that was not."""
    world = a_world(
        url,
        *(record(f"P-{number}") for number in range(1, 7)),
        users={"ann": "admin", "ben": "editor"},
    )
    ann, ben = world.principal("ann"), world.principal("ben")
    odd = 'a "quote", a \\ and (brackets)\nline\ttab é 東'
    pfa_core.save(
        world.db,
        ann,
        [
            Change("P-1", {"model": 'x "y" \\ (é 東), z'}, odd),
            Change("P-2", {"monthlyRate": Decimal("1.50")}),
        ],
        session_id="old",
    )
    pfa_core.discard(world.db, ann, Selection(session_id="old"))
    pfa_core.restore(world.db, ann, ids=["P-1"])
    pfa_core.discard(world.db, ann, Selection(session_id="old"))
    draft(world.db, ben, "P-3", session="b", model="B")
    pfa_core.undo(world.db, ben)
    draft(world.db, ben, "P-4", session="b", model="C")
    pfa_core.discard(world.db, ben, Selection(session_id="b"))
    return world


@built_once
def old(url: str) -> World:
    """`lived`, a year ago."""
    world = lived(url)
    age(world)
    return world


CUT = timedelta(days=300)


def cut(world: World) -> datetime:
    return datetime.now(UTC) - CUT


def archived(world: World, file: Path, user: str = "ann", **how: Any):
    return pfa_core.archive_log(
        world.db,
        world.principal(user),
        file,
        before=cut(world),
        **how,
    )


def verified(world: World, *files: Path, anchor: str | None = None):
    return pfa_core.verify_log(world.db, world.principal(), files=files, anchor=anchor)


def count(world: World, table: str = "audit_log") -> int:
    return world.rows(f"SELECT count(*) FROM {table}")[0][0]


def test_old_entries_are_in_the_file_and_not_in_the_database_and_the_chain_verifies(
    old: World, tmp_path: Path
) -> None:
    draft(old.db, old.principal(), "P-5", session="new", model="N")
    before, links = count(old), count(old, "audit_link")
    result = archived(old, tmp_path / "trail.jsonl.gz")
    assert (result.first, result.last, result.kept, result.already) == (1, links - 1, 0, False)
    assert (result.entries, result.removed) == (before - 1, before - 1)
    # The draft of today, and the entry that says where the others are.
    assert [one.action for one in pfa_core.list_log(old.db, old.principal())] == ["archive", "save"]
    report = verified(old)
    assert (report.whole, report.flaws) == (True, [])
    assert (report.links, report.entries) == (2, 2)
    assert (report.archived_links, report.archived_entries) == (links - 1, before - 1)
    assert (report.files, report.verified_files) == (["trail.jsonl.gz"], 0)
    whole = verified(old, tmp_path / "trail.jsonl.gz")
    assert (whole.whole, whole.flaws, whole.verified_files) == (True, [], 1)
    assert (tmp_path / "trail.jsonl.gz").stat().st_mode & 0o777 == 0o600


def test_the_file_is_lines_of_json_that_any_program_reads(old: World, tmp_path: Path) -> None:
    archived(old, tmp_path / "a.gz")
    lines = [
        json.loads(line) for line in gzip.decompress((tmp_path / "a.gz").read_bytes()).splitlines()
    ]
    assert lines[0]["format"] == "pfa log archive"
    assert (lines[0]["organization"], lines[0]["first"], lines[0]["previous"]) == ("ORG", 1, "")
    saved = next(one for one in lines if one.get("action") == "save" and one.get("pfaId") == "P-2")
    assert saved["after"] == {"monthlyRate": 1.50}
    assert lines[-1]["end"]["links"] == lines[0]["last"]


def test_a_dry_run_counts_and_changes_nothing(old: World, tmp_path: Path) -> None:
    before = count(old)
    result = archived(old, tmp_path / "a.gz", dry_run=True)
    assert (result.entries, result.removed, count(old)) == (before, 0, before)
    assert list(tmp_path.iterdir()) == []


def test_the_same_call_again_changes_nothing(old: World, tmp_path: Path) -> None:
    first = archived(old, tmp_path / "a.gz")
    again = archived(old, tmp_path / "a.gz")
    assert (again.already, again.sha256, again.removed) == (True, first.sha256, 0)
    other = archived(old, tmp_path / "b.gz")
    assert (other.links, other.anchor, (tmp_path / "b.gz").exists()) == (0, "", False)
    assert [one.file for one in pfa_core.list_archives(old.db, old.principal())] == ["a.gz"]


def test_a_file_that_is_there_is_never_overwritten(old: World, tmp_path: Path) -> None:
    file = tmp_path / "a.gz"
    file.write_bytes(b"precious")
    with pytest.raises(errors.IllegalTransition, match="is not overwritten"):
        archived(old, file)
    assert file.read_bytes() == b"precious"
    os.mkfifo(tmp_path / "pipe")
    for there in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(errors.IllegalTransition, match="is not overwritten"):
            archived(old, there)
    with pytest.raises(errors.InvalidRequest, match="not a file name"):
        archived(old, Path("-"))
    assert pfa_core.list_archives(old.db, old.principal()) == []


def test_a_file_of_an_earlier_archive_takes_no_later_entries(old: World, tmp_path: Path) -> None:
    archived(old, tmp_path / "a.gz")
    draft(old.db, old.principal(), "P-5", session="later", model="L")
    pfa_core.discard(old.db, old.principal(), Selection(session_id="later"))
    age(old, days=350)
    with pytest.raises(errors.IllegalTransition, match="is not overwritten"):
        archived(old, tmp_path / "a.gz")
    assert archived(old, tmp_path / "b.gz").removed > 0


def test_what_is_younger_than_a_day_stays(old: World, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequest, match="last day"):
        pfa_core.archive_log(
            old.db, old.principal(), tmp_path / "a", before=datetime.now(UTC) - timedelta(hours=23)
        )


def test_the_last_day_is_that_of_the_database_s_clock(old: World, tmp_path: Path) -> None:
    ahead = SelfClosing(old.url, clock=lambda: datetime.now(UTC) + timedelta(days=3))
    try:
        with pytest.raises(errors.InvalidRequest, match="last day"):
            pfa_core.archive_log(
                ahead, old.principal(), tmp_path / "a", before=datetime.now(UTC) + timedelta(days=1)
            )
    finally:
        ahead.close()


def test_a_second_archive_joins_the_first(old: World, tmp_path: Path) -> None:
    first, second = tmp_path / "a.gz", tmp_path / "b.gz"
    archived(old, first)
    draft(old.db, old.principal(), "P-6", session="later", model="L")
    pfa_core.discard(old.db, old.principal(), Selection(session_id="later"))
    age(old, days=350)
    draft(old.db, old.principal(), "P-5", session="new", model="N")
    result = archived(old, second)
    # The entry that says where the first ones are is archived, and stays.
    assert (result.first, result.kept, result.entries, result.removed) == (
        pfa_core.list_archives(old.db, old.principal())[0].last + 1, 1, 3, 2
    )  # fmt: skip
    assert [one.file for one in pfa_core.list_archives(old.db, old.principal())] == ["a.gz", "b.gz"]
    assert verified(old).whole
    assert verified(old, second, first).flaws == []
    (missing,) = verified(old, second).flaws
    assert (missing.kind, missing.number) == ("links_missing", 1)
    assert "a.gz, which was not given" in missing.message


class TestTampering:
    def test_what_is_removed_or_altered_behind_an_archive_is_found(
        self, old: World, tmp_path: Path
    ) -> None:
        draft(old.db, old.principal(), "P-5", session="new", model="N")
        archived(old, tmp_path / "a.gz")
        old.execute("UPDATE audit_log SET user_id = 'eve' WHERE action = 'save' AND pfa_id = 'P-5'")
        assert [flaw.kind for flaw in verified(old).flaws] == ["entries_altered"]
        old.execute(
            "DELETE FROM audit_link WHERE link_id IN (SELECT link_id FROM audit_log WHERE pfa_id = 'P-5')"
        )
        assert {flaw.kind for flaw in verified(old).flaws} >= {"links_missing", "entry_unlinked"}

    def test_an_archive_that_is_said_otherwise_is_found(self, old: World, tmp_path: Path) -> None:
        archived(old, tmp_path / "a.gz")
        old.execute(
            """UPDATE audit_log SET after = after || '{"file": "b.gz"}' WHERE action = 'archive'"""
        )
        assert "entries_altered" in {flaw.kind for flaw in verified(old).flaws}
        old.execute("DELETE FROM audit_log WHERE action = 'archive'")
        assert {"links_missing", "entries_missing"} <= {flaw.kind for flaw in verified(old).flaws}

    @pytest.mark.parametrize(
        "after", ["null", "{}", '{"first": 1, "last": "x"}', '{"first": 1e300}']
    )
    def test_an_entry_that_says_no_archive_stops_no_reader(
        self, old: World, tmp_path: Path, after: str
    ) -> None:
        archived(old, tmp_path / "a.gz")
        old.execute("UPDATE audit_log SET after = %s::jsonb WHERE action = 'archive'", after)
        assert not verified(old).whole
        assert pfa_core.list_archives(old.db, old.principal()) == []

    def test_a_link_that_was_left_is_not_altered_unseen(self, old: World, tmp_path: Path) -> None:
        kept_draft(old)
        assert archived(old, tmp_path / "a.gz").kept == 1
        assert verified(old).whole
        old.execute("UPDATE audit_log SET reason = 'other' WHERE pfa_id = 'P-6'")
        assert "entries_altered" in {flaw.kind for flaw in verified(old).flaws}
        old.execute("DELETE FROM audit_link WHERE number < (SELECT max(number) FROM audit_link)")
        assert "link_altered" in {flaw.kind for flaw in verified(old).flaws}

    def test_a_link_that_was_left_and_altered_stops_the_next_archive(
        self, old: World, tmp_path: Path
    ) -> None:
        kept_draft(old)
        first, late = tmp_path / "a.gz", tmp_path / "b.gz"
        archived(old, first)
        draft(old.db, old.principal(), "P-5", session="later", model="L")
        pfa_core.discard(old.db, old.principal(), Selection(session_id="later"))
        age(old, days=350)
        old.execute("UPDATE audit_log SET user_id = 'eve' WHERE pfa_id = 'P-6'")
        for dry_run in (True, False):
            with pytest.raises(errors.InvalidData, match="is not whole"):
                archived(old, late, dry_run=dry_run)
        assert not late.exists()
        assert not verified(old, first).whole

    def test_of_files_of_the_same_links_each_is_looked_at(self, old: World, tmp_path: Path) -> None:
        file, bad = tmp_path / "a.gz", tmp_path / "bad.gz"
        archived(old, file)
        bad.write_bytes(file.read_bytes()[:300])
        for files in ([bad, file], [file, bad]):
            report = verified(old, *files)
            assert (report.whole, report.verified_files) == (False, 1)
        report = verified(old, bad)
        assert (report.whole, report.verified_files) == (False, 0)

    def test_a_trail_that_is_not_whole_is_not_archived(self, old: World, tmp_path: Path) -> None:
        old.execute("UPDATE audit_log SET user_id = 'eve' WHERE pfa_id = 'P-4'")
        before = count(old)
        with pytest.raises(errors.InvalidData, match="not whole"):
            archived(old, tmp_path / "a.gz")
        assert (count(old), list(tmp_path.iterdir())) == (before, [])
        old.execute("DELETE FROM audit_link WHERE number = 3")
        with pytest.raises(errors.InvalidData, match="not whole"):
            archived(old, tmp_path / "a.gz", dry_run=True)

    def test_an_altered_or_cut_file_is_found(self, old: World, tmp_path: Path) -> None:
        file = tmp_path / "a.gz"
        archived(old, file)
        whole = file.read_bytes()
        text = gzip.decompress(whole)
        lines = text.splitlines(keepends=True)
        for name, content in {
            "cut": whole[:-20],
            "without its end": gzip.compress(b"".join(lines[:-1])),
            "another user": gzip.compress(text.replace(b'"userId": "ben"', b'"userId": "eve"', 1)),
            "an entry less": gzip.compress(b"".join([*lines[:-3], *lines[-2:]])),
            "packed again": gzip.compress(text),
            "a key twice": gzip.compress(
                text.replace(b'"action": "save"', b'"action": "save", "action": "grant"', 1)
            ),
            "more behind": gzip.compress(text + b"{}\n"),
            "a bit": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
        }.items():
            file.write_bytes(content)
            flaws = verified(old, file).flaws
            assert [flaw.kind for flaw in flaws] == ["archive"], name
        file.write_bytes(b"{}\n")
        with pytest.raises(errors.InvalidData, match=r"not an archive|altered"):
            verified(old, file)

    def test_an_anchor_of_an_archived_link_is_compared_with_its_file(
        self, old: World, tmp_path: Path
    ) -> None:
        file = tmp_path / "a.gz"
        (anchor,) = old.rows(
            "SELECT number || ':' || encode(digest, 'hex') FROM audit_link WHERE number = 3"
        )
        last = verified(old).anchor
        archived(old, file)
        with pytest.raises(errors.InvalidRequest, match=r"archived in a\.gz"):
            verified(old, anchor=anchor[0])
        assert verified(old, file, anchor=anchor[0]).whole
        assert verified(old, anchor=last).whole
        wrong = f"3:{'0' * 64}"
        assert [flaw.kind for flaw in verified(old, file, anchor=wrong).flaws] == ["anchor"]


def kept_draft(world: World) -> None:
    """A draft of a year ago that nothing has become of."""
    draft(world.db, world.principal("ben"), "P-6", session="open", model="K")
    age(world)


class TestWhatReadsOldEntries:
    """Each reader of the trail has what it needs, or says that it is archived."""

    def test_a_change_that_is_not_settled_keeps_its_entries(
        self, old: World, tmp_path: Path
    ) -> None:
        kept_draft(old)
        archived(old, tmp_path / "a.gz")
        assert [one.action for one in pfa_core.list_log(old.db, old.principal(), pfa_id="P-6")] == [
            "save"
        ]

    def test_an_operation_that_is_archived_is_not_taken_back(
        self, old: World, tmp_path: Path
    ) -> None:
        ben = old.principal("ben")
        kept_draft(old)
        number = pfa_core.list_operations(old.db, ben)[0].operation
        archived(old, tmp_path / "a.gz")
        with pytest.raises(errors.IllegalTransition, match=r"is of before .* and archived"):
            pfa_core.undo(old.db, ben, operation=number)
        with pytest.raises(errors.NotFound, match=r"operations of before .* are archived"):
            pfa_core.undo(old.db, ben)
        assert pfa_core.list_operations(old.db, ben) == []
        draft(old.db, ben, "P-3", session="new", model="N")
        assert pfa_core.undo(old.db, ben).records == 1
        assert pfa_core.undo(old.db, ben, redo=True).records == 1

    def test_an_undo_of_an_archived_operation_is_taken_back(
        self, old: World, tmp_path: Path
    ) -> None:
        ben = old.principal("ben")
        draft(old.db, ben, "P-6", session="x", model="K")
        age(old)
        pfa_core.undo(old.db, ben)
        archived(old, tmp_path / "a.gz")
        (undone,) = pfa_core.list_operations(old.db, ben)
        assert undone.takes_back
        assert pfa_core.undo(old.db, ben, redo=True).records == 1
        assert old.rows("SELECT delta FROM pfa_modification WHERE pfa_id = 'P-6'") == [
            ({"model": "K"},)
        ]
        with pytest.raises(errors.IllegalTransition, match="did operation"):
            pfa_core.undo(old.db, ben, operation=pfa_core.list_operations(old.db, ben)[0].operation)

    def test_discarded_drafts_that_are_archived_are_not_restored(
        self, old: World, tmp_path: Path
    ) -> None:
        ann = old.principal()
        draft(old.db, ann, "P-5", session="new", model="N")
        age(old)
        pfa_core.discard(old.db, ann, Selection(session_id="new"))
        archived(old, tmp_path / "a.gz")
        with pytest.raises(errors.NoDrafts, match="what was before is archived"):
            pfa_core.restore(old.db, ann, session_id="old")
        assert [one.pfa_id for one in pfa_core.restore(old.db, ann, session_id="new").restored] == [
            "P-5"
        ]

    def test_of_an_archived_discard_that_is_kept_for_one_draft_no_other_is_restored_again(
        self, old: World, tmp_path: Path
    ) -> None:
        ben = old.principal("ben")
        for pfa_id in ("P-5", "P-6"):
            draft(old.db, ben, pfa_id, session="two", model="T")
        pfa_core.discard(old.db, ben, Selection(session_id="two"))
        pfa_core.undo(old.db, ben)
        pfa_core.discard(old.db, ben, Selection(ids=("P-5",)))
        age(old)
        assert archived(old, tmp_path / "a.gz").kept > 0
        with pytest.raises(errors.NoDrafts):
            pfa_core.restore(old.db, ben, ids=["P-5"])
        assert verified(old).whole

    def test_the_tokens_of_an_ended_membership_stay_ended(self, old: World, tmp_path: Path) -> None:
        ann = old.principal()
        pfa_core.grant(old.db, ann, "carl", "viewer")
        pfa_core.revoke(old.db, ann, "carl")
        age(old)
        archived(old, tmp_path / "a.gz")
        pfa_core.grant(old.db, ann, "carl", "viewer")
        ((since,),) = old.rows("SELECT tokens_since FROM pfa_member WHERE user_id = 'carl'")
        assert since is not None

    def test_who_committed_what_was_sent_is_known(self, old: World, tmp_path: Path) -> None:
        ben = old.principal("ben")
        draft(old.db, ben, "P-6", session="sent", model="S")
        commit(old.db, ben, session="sent")
        pushed(old, "P-6", "S")
        age(old)
        sync = old.rows("SELECT count(*) FROM audit_log WHERE pfa_id = 'P-6'")[0][0]
        assert sync > 0
        archived(old, tmp_path / "a.gz")
        assert count_of(old, "P-6") == 0
        (model,) = (
            one for one in pfa_core.blame(old.db, ben, "P-6").fields if one.field == "model"
        )
        assert (model.user_id, model.session_id) == ("ben", "sent")

    def test_a_revert_by_the_record_says_that_the_commit_is_archived(
        self, old: World, tmp_path: Path
    ) -> None:
        ben = old.principal("ben")
        draft(old.db, ben, "P-6", session="sent away", model="S")
        commit(old.db, ben, session="sent away")
        pushed(old, "P-6", "S")
        age(old)
        archived(old, tmp_path / "a b.gz")
        with pytest.raises(errors.NoDrafts, match=r"archived in a b\.gz") as refused:
            pfa_core.revert(old.db, ben, ids=["P-6"])
        assert "pfa revert --session NAME --id P-6" in refused.value.hint
        assert "pfa log P-6 --action commit --from 'a b.gz'" in refused.value.hint
        with pytest.raises(errors.NoDrafts) as unknown:
            pfa_core.revert(old.db, ben, session_id="none", ids=["P-6"])
        assert "archived" not in unknown.value.message
        found = pfa_core.stream_log(
            old.db, ben, LogFilter(pfa_id="P-6"), archive=tmp_path / "a b.gz"
        )
        assert "sent away" in {entry.session_id for entry in found}
        done = pfa_core.revert(old.db, ben, session_id="sent away", ids=["P-6"])
        assert [item.pfa_id for item in done.saved] == ["P-6"]

    def test_a_member_is_told_where_older_entries_are(self, old: World, tmp_path: Path) -> None:
        archived(old, tmp_path / "a.gz")
        (archive,) = pfa_core.list_archives(old.db, old.principal("ben"))
        assert archive.file == "a.gz"
        assert pfa_core.list_log(old.db, old.principal("ben")) == []


def count_of(world: World, pfa_id: str) -> int:
    return world.rows("SELECT count(*) FROM audit_log WHERE pfa_id = %s", pfa_id)[0][0]


def pushed(world: World, pfa_id: str, model: str) -> None:
    """What a push leaves of the only committed change of a record, a year ago."""
    run = "00000000-0000-4000-8000-00000000000a"
    world.execute(
        "INSERT INTO pfa_sync_log (organization_id, run_id, direction, status, started_at, finished_at, user_id,"
        " counts, source) SELECT 'ORG', %s, 'push', 'completed', now() - interval '400 days',"
        " now() - interval '400 days', 'ann', '{}', ''",
        run,
    )
    world.execute(
        "INSERT INTO pfa_sync_outcome (organization_id, run_id, outcome_id, number, pfa_id, modification_id,"
        " outcome, code, message, at)"
        " SELECT 'ORG', %s, gen_random_uuid(), 1, pfa_id, modification_id, 'synced', '', '', now()"
        " FROM pfa_modification WHERE pfa_id = %s",
        run,
        pfa_id,
    )
    world.execute(
        "UPDATE pfa_modification SET state = 'synced', synced_at = now() - interval '400 days' WHERE pfa_id = %s",
        pfa_id,
    )
    world.execute(
        "INSERT INTO pfa_mirror_history (organization_id, pfa_id, version, data, replaced_by_run, replaced_at,"
        " written_by_run, written_at, rate_days, forecast_purchase)"
        " SELECT organization_id, pfa_id, version, data, %s,"
        " now() - interval '400 days', run_id, updated_at - interval '401 days', 0, 0 FROM pfa_mirror"
        " WHERE pfa_id = %s",
        run,
        pfa_id,
    )
    world.execute(
        "UPDATE pfa_mirror SET version = version + 1, run_id = %s, updated_at = now() - interval '400 days',"
        " data = data || jsonb_build_object('model', %s::text) WHERE pfa_id = %s",
        run,
        model,
        pfa_id,
    )


class TestSearch:
    def test_an_archive_is_searched_as_the_trail_was(self, old: World, tmp_path: Path) -> None:
        ann = old.principal()
        trail = pfa_core.list_log(old.db, ann, limit=1000)
        archived(old, tmp_path / "a.gz")

        def found(limit: int = 1000, **filters: Any):
            chosen = LogFilter(**filters)
            return list(
                pfa_core.stream_log(old.db, ann, chosen, limit=limit, archive=tmp_path / "a.gz")
            )

        assert sorted(found(), key=str) == sorted(trail, key=str)
        assert [one.entry_id for one in found(3)] == [one.entry_id for one in trail[:3]]
        assert found(actions=("discard",), user_id="ben") == [
            one for one in trail if one.action == "discard" and one.user_id == "ben"
        ]
        assert found(pfa_id="P-1") == [one for one in trail if one.pfa_id == "P-1"]
        at = trail[3].at
        assert found(since=at) == [one for one in trail if one.at >= at]
        assert found(until=at, session_id="b") == [
            one for one in trail if one.at < at and one.session_id == "b"
        ]

    def test_a_member_sees_their_own_entries_of_it(self, old: World, tmp_path: Path) -> None:
        archived(old, tmp_path / "a.gz")
        mine = pfa_core.stream_log(old.db, old.principal("ben"), archive=tmp_path / "a.gz")
        assert {one.user_id for one in mine} == {"ben"}
        with pytest.raises(errors.PermissionDenied):
            pfa_core.stream_log(
                old.db, old.principal("ben"), LogFilter(user_id="ann"), archive=tmp_path / "a.gz"
            )

    def test_an_altered_archive_shows_nothing(self, old: World, tmp_path: Path) -> None:
        archived(old, tmp_path / "a.gz")
        text = gzip.decompress((tmp_path / "a.gz").read_bytes())
        (tmp_path / "a.gz").write_bytes(gzip.compress(text.replace(b'"ben"', b'"eve"')))
        with pytest.raises(errors.InvalidData, match="altered"):
            pfa_core.stream_log(old.db, old.principal(), archive=tmp_path / "a.gz")


class TestElsewhere:
    @pytest.mark.slow
    def test_an_organization_with_an_archived_trail_moves_whole(
        self, old: World, postgres: Server, template: str, tmp_path: Path
    ) -> None:
        kept_draft(old)
        archived(old, tmp_path / "a.gz")
        written = pfa_core.export_organization(old.db, old.principal(), tmp_path / "org.pfa")
        with postgres.database(template) as url, SelfClosing(url) as target:
            stored = pfa_core.import_organization(target, tmp_path / "org.pfa", user_id="root")
            assert stored.anchor == written.anchor
            report = pfa_core.verify_log(target, old.principal(), files=[tmp_path / "a.gz"])
            assert (report.flaws, report.verified_files) == ([], 1)
            assert pfa_core.verify_log(target, old.principal(), anchor=written.anchor).whole

    @citus.has_policies
    def test_under_row_level_security_the_owner_archives_and_members_see_where(
        self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PFA_TEST_BOUND", "1")
        world = lived(database_url)
        age(world)
        with pytest.raises(errors.ConfigInvalid, match="row-level security"):
            archived(world, tmp_path / "a.gz")
        pfa_core.archive_log(world.owner, world.principal(), tmp_path / "a.gz", before=cut(world))
        assert verified(world, tmp_path / "a.gz").flaws == []
        (archive,) = pfa_core.list_archives(world.db, world.principal("ben"))
        assert archive.file == "a.gz"
        assert pfa_core.list_log(world.db, world.principal("ben")) == []
        with pytest.raises(errors.NoDrafts, match="archived"):
            pfa_core.restore(world.db, world.principal("ben"), session_id="b")

    def test_who_may_not_see_all_that_the_file_holds_makes_none(
        self, old: World, tmp_path: Path
    ) -> None:
        with pytest.raises(errors.PermissionDenied):
            archived(old, tmp_path / "a.gz", user="ben")
        assert list(tmp_path.iterdir()) == []
