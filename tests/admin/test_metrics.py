"""The state of an organization in numbers, read back by Prometheus's own parser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import pfa_core
from pfa_core import errors
from pfa_core.admin.metrics import Kind, Metric, Sample
from pfa_core.store import leases
from tests.factories import World, a_principal, a_world, commit, draft, record
from tests.worlds import built_once

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
Labels = tuple[tuple[str, str], ...]


@built_once
def world(url: str) -> World:
    return a_world(
        url,
        *(record(f"P-{number}") for number in range(1, 5)),
        users={"ann": "admin", "bob": "editor"},
    )


def metrics(world: World, user: str = "ann") -> list[Metric]:
    return pfa_core.collect(world.db, world.principal(user))


def values(world: World, name: str, user: str = "ann") -> dict[Labels, float]:
    """The samples of a metric as Prometheus reads them, without the label of the organization."""
    text = pfa_core.exposition(metrics(world, user))
    found: dict[Labels, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels.pop("organization") == world.organization
            if sample.name == name:
                found[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(world: World, name: str, **labels: str) -> float | None:
    return values(world, name).get(tuple(sorted(labels.items())))


def at(world: World, moment: datetime) -> None:
    world.db.clock = lambda: moment


def a_run(world: World, direction: str, status: str, ended: datetime | None, **counts: Any) -> None:
    world.execute(
        "INSERT INTO pfa_sync_log (organization_id, run_id, direction, source, status, user_id,"
        " started_at, finished_at, counts) VALUES (%s, %s, %s, 'PEMS', %s, 'ann', %s, %s, %s)",
        world.organization,
        uuid4(),
        direction,
        status,
        (ended or NOW) - timedelta(seconds=90),
        ended,
        pfa_core.exact_json.dumps(counts),
    )


def set_state(world: World, pfa_id: str, state: str, **columns: Any) -> None:
    names = {"claim_id": uuid4() if state == "syncing" else None, **columns}
    assignments = "".join(f", {name} = %s" for name in names)
    world.execute(
        f"UPDATE pfa_modification SET state = %s{assignments} WHERE pfa_id = %s",
        state,
        *names.values(),
        pfa_id,
    )


class TestRecords:
    def test_records_and_the_missing_ones_among_them_are_counted(self, world: World) -> None:
        assert (value(world, "pfa_records"), value(world, "pfa_records_missing")) == (4, 0)
        world.execute("UPDATE pfa_mirror SET missing_since = %s WHERE pfa_id = 'P-1'", NOW)
        assert (value(world, "pfa_records"), value(world, "pfa_records_missing")) == (4, 1)

    def test_an_organization_before_its_first_pull_has_zeros_and_no_baseline(
        self, database_url: str
    ) -> None:
        world = a_world(database_url)
        assert value(world, "pfa_records") == 0
        assert value(world, "pfa_oldest_unsent_change_seconds") == 0
        assert value(world, "pfa_runs_total", direction="push", status="failed") == 0
        names = {metric.name for metric in metrics(world)}
        assert not {name for name in names if name.startswith("pfa_baseline")}
        assert "pfa_last_run" not in pfa_core.exposition(metrics(world))

    def test_nothing_of_another_organization_is_counted(self, world: World) -> None:
        before = metrics(world)
        there = a_world(world.url, record("X-1"), organization="THERE")
        draft(there.db, there.principal(), "X-1", model="A")
        a_run(there, "push", "failed", NOW, synced=5)
        there.db.transact(lambda conn: take_lease(conn, "THERE", "push", HOUR))
        at(world, NOW)
        at(there, NOW)
        after = metrics(world)
        assert [m for m in after if "seconds" not in m.name] == [
            m for m in before if "seconds" not in m.name
        ]
        assert value(there, "pfa_records") == 1
        assert value(there, "pfa_lease_held", direction="push") == 1


class TestModifications:
    def test_those_of_all_users_are_counted_by_state_zeros_too(self, world: World) -> None:
        draft(world.db, world.principal("ann"), "P-1", model="A")
        draft(world.db, world.principal("bob"), "P-1", model="B")
        draft(world.db, world.principal("bob"), "P-2", model="B", session="c")
        commit(world.db, world.principal("bob"), session="c")
        assert values(world, "pfa_modifications", "bob") == {
            (("state", "draft"),): 2,
            (("state", "committed"),): 1,
            (("state", "syncing"),): 0,
            (("state", "synced"),): 0,
            (("state", "sync_error"),): 0,
            (("state", "conflict"),): 0,
        }

    def test_what_is_tried_again_is_no_dead_letter_and_what_is_not_is_one(
        self, world: World
    ) -> None:
        for pfa_id in ("P-1", "P-2", "P-3"):
            draft(world.db, world.principal(), pfa_id, model="A")
        commit(world.db, world.principal())
        set_state(world, "P-1", "sync_error", next_attempt_at=NOW)
        set_state(world, "P-2", "sync_error", next_attempt_at=None)
        assert value(world, "pfa_dead_letters") == 1
        assert value(world, "pfa_modifications", state="sync_error") == 2

    @pytest.mark.parametrize(
        ("state", "due", "age"),
        [
            ("committed", None, 3600),
            ("syncing", None, 3600),
            ("sync_error", NOW, 3600),
            ("sync_error", None, 0),
            ("conflict", None, 0),
            ("synced", None, 0),
        ],
    )
    def test_the_oldest_change_on_its_way_has_an_age(
        self, world: World, state: str, due: datetime | None, age: float
    ) -> None:
        at(world, NOW - HOUR)
        draft(world.db, world.principal(), "P-1", model="A")
        commit(world.db, world.principal())
        set_state(world, "P-1", state, next_attempt_at=due)
        world.execute("UPDATE pfa_modification SET committed_at = %s", NOW - HOUR)
        at(world, NOW)
        assert value(world, "pfa_oldest_unsent_change_seconds") == age

    def test_a_clock_that_is_behind_makes_no_age_below_zero(self, world: World) -> None:
        at(world, NOW)
        draft(world.db, world.principal(), "P-1", model="A")
        commit(world.db, world.principal())
        at(world, NOW - HOUR)
        assert value(world, "pfa_oldest_unsent_change_seconds") == 0

    def test_open_conflicts_are_counted_and_settled_ones_are_not(self, world: World) -> None:
        for status in ("unresolved", "resolved", "unresolved"):
            world.execute(
                "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id,"
                " pfa_id, user_id, fields, status, created_at)"
                " VALUES ('ORG', %s, %s, 'P-1', 'ann', '[{\"field\": \"model\"}]', %s, %s)",
                uuid4(),
                uuid4(),
                status,
                NOW,
            )
        assert value(world, "pfa_conflicts_unresolved") == 2


class TestRuns:
    def test_the_baseline_is_as_old_as_the_start_of_the_last_completed_pull(
        self, world: World
    ) -> None:
        world.execute("DELETE FROM pfa_sync_log")
        a_run(world, "pull", "completed", NOW - HOUR)
        a_run(world, "pull", "partial", NOW)
        a_run(world, "push", "completed", NOW)
        at(world, NOW)
        assert value(world, "pfa_baseline_age_seconds") == 3690
        assert value(world, "pfa_baseline_timestamp_seconds") == NOW.timestamp() - 3690

    def test_runs_are_counted_when_they_are_over(self, world: World) -> None:
        a_run(world, "push", "failed", NOW, synced=1)
        a_run(world, "push", "failed", NOW + HOUR, synced=2)
        a_run(world, "push", "running", None, synced=64)
        runs = values(world, "pfa_runs_total")
        assert len(runs) == 6
        assert runs[("direction", "push"), ("status", "failed")] == 2
        assert runs[("direction", "pull"), ("status", "completed")] == 1
        assert runs[("direction", "pull"), ("status", "partial")] == 0
        assert value(world, "pfa_run_records_total", direction="push", outcome="synced") == 3
        assert value(world, "pfa_run_records_total", direction="pull", outcome="inserted") == 4

    def test_only_numbers_are_summed_up_whatever_else_a_run_counts(self, world: World) -> None:
        world.execute("ALTER TABLE pfa_sync_log DROP CONSTRAINT pfa_sync_log_counts_range")
        a_run(world, "push", "completed", NOW, odd='a "b"\\\n', half=Decimal("0.5"), more={"a": 1})
        found = values(world, "pfa_run_records_total")
        pushed = {dict(labels)["outcome"] for labels in found if ("direction", "push") in labels}
        assert pushed == {"half"}
        assert value(world, "pfa_run_records_total", direction="push", outcome="half") == 0.5

    def test_the_last_run_is_told_by_when_it_ended_and_how_long_it_took(self, world: World) -> None:
        a_run(world, "push", "completed", NOW - HOUR)
        a_run(world, "push", "failed", NOW)
        name = "pfa_last_run_timestamp_seconds"
        assert value(world, name, direction="push", status="failed") == NOW.timestamp()
        assert value(world, name, direction="push", status="completed") == NOW.timestamp() - 3600
        assert value(world, name, direction="push", status="partial") is None
        assert value(world, "pfa_last_run_duration_seconds", direction="push") == 90

    def test_a_lease_is_held_until_it_expires_by_the_clock_of_the_database(
        self, world: World
    ) -> None:
        at(world, NOW - 10_000 * HOUR)
        world.owner.transact(lambda conn: take_lease(conn, "ORG", "pull", HOUR))
        world.owner.transact(lambda conn: take_lease(conn, "ORG", "push", -HOUR))
        assert values(world, "pfa_lease_held") == {
            (("direction", "pull"),): 1,
            (("direction", "push"),): 0,
        }


class TestReading:
    def test_it_is_one_moment_of_the_database(self, world: World) -> None:
        def record_that_slips_in() -> datetime:
            with pfa_core.Database(world.db.conninfo) as db:
                change = pfa_core.Change("P-1", {"model": "late"})
                pfa_core.save(db, world.principal(), [change])
            return NOW

        world.db.clock = record_that_slips_in
        assert value(world, "pfa_modifications", state="draft") == 0
        at(world, NOW)
        assert value(world, "pfa_modifications", state="draft") == 1

    def test_schema_and_version_are_told(self, world: World) -> None:
        newest = world.rows("SELECT max(version) FROM pfa_schema_migration")[0][0]
        assert value(world, "pfa_schema_version") == newest
        assert value(world, "pfa_build_info", version="0.1.0") == 1

    def test_a_viewer_may_and_a_stranger_may_not(self, world: World) -> None:
        viewer = world.add_user("vic", "viewer")
        assert pfa_core.collect(world.db, viewer)
        with pytest.raises(errors.Forbidden):
            pfa_core.collect(world.db, a_principal("mallory"))


class TestExposition:
    def test_a_metric_is_help_type_and_its_samples(self) -> None:
        metric = Metric(
            "pfa_x",
            Kind.GAUGE,
            "Two\nlines, a \\.",
            [Sample({}, 1), Sample({"a": 'q"\\\n', "b": ""}, Decimal("1E+3"))],
        )
        assert pfa_core.exposition([metric]) == (
            "# HELP pfa_x Two\\nlines, a \\\\.\n"
            "# TYPE pfa_x gauge\n"
            "pfa_x 1\n"
            'pfa_x{a="q\\"\\\\\\n",b=""} 1000\n'
        )

    def test_a_metric_without_a_sample_is_left_out(self) -> None:
        assert pfa_core.exposition([Metric("pfa_x", Kind.COUNTER, "Nothing.", [])]) == ""

    def test_every_family_is_read_back_with_its_kind_and_its_help(self, world: World) -> None:
        stated = [metric for metric in metrics(world) if metric.samples]
        text = pfa_core.exposition(stated)
        families = list(text_string_to_metric_families(text))
        assert [(f.name, f.type, f.documentation) for f in families] == [
            (m.name.removesuffix("_total") if m.kind == "counter" else m.name, m.kind, m.help)
            for m in stated
        ]
        assert text.endswith("\n")
        assert "\n\n" not in text

    @given(label=st.text(st.characters(exclude_categories=["Cs"])), value=st.integers(-9, 2**53))
    def test_any_label_is_read_back_as_it_was(self, label: str, value: int) -> None:
        metric = Metric("pfa_x", Kind.GAUGE, label, [Sample({"a": label, "b": "x"}, value)])
        (family,) = text_string_to_metric_families(pfa_core.exposition([metric]))
        (sample,) = family.samples
        assert (sample.labels, sample.value) == ({"a": label, "b": "x"}, value)


def take_lease(conn: Any, organization: str, name: str, lifetime: timedelta) -> bool:
    return leases.acquire(
        conn,
        organization,
        name,
        str(uuid4()),
        owner="ann",
        host="here",
        pid=1,
        lifetime=lifetime,
    )
