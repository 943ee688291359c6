"""Metrics of an organization, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from psycopg import Connection

from pfa_core.model.audit import Direction
from pfa_core.model.ids import OrganizationId
from pfa_core.model.modification import State
from pfa_core.model.rights import Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import leases, runs, schema
from pfa_core.store.reads import counts as store

ENDS = ("completed", "partial", "failed")
_LABEL_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})

Number = int | float | Decimal


class Kind(StrEnum):
    """The kind of a metric: a gauge goes up and down, a counter only grows."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, identified by its labels."""

    labels: Mapping[str, str]
    value: Number


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and its samples, which may be none."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]


@reads(Operation.COLLECT)
def collect(tx: Tx) -> list[Metric]:
    """Measure the state of the caller's organization, all of it in one snapshot.

    Counts and times of the whole organization, of all users; no values of records. Each sample is
    labelled with the organization; durations are seconds, instants seconds since 1970.

    Raises:
        NotFound, Forbidden, PermissionDenied: See `authorization.authorize`.
    """
    conn, code, now = tx.conn, tx.organization_id, tx.now()
    families = [
        *_records(conn, code),
        *_changes(conn, code, now),
        *_baseline(conn, code, now),
        *_behind(conn, code),
        *_ended_runs(conn, code),
        *_last_runs(conn, code),
        _leases(conn, code),
        *_program(conn),
    ]
    return [_labelled(metric, code) for metric in families]


def exposition(metrics: Iterable[Metric]) -> str:
    """Write the metrics in the text format of Prometheus.

    Metrics without samples are left out.
    """
    return "".join(f"{line}\n" for metric in metrics if metric.samples for line in _lines(metric))


def _records(conn: Connection[Any], code: OrganizationId) -> Iterator[Metric]:
    count, missing = store.records(conn, code)
    yield _gauge("pfa_records", "Records in the mirror, the missing ones too.", count)
    yield _gauge("pfa_records_missing", "Records that the last full pull did not bring.", missing)


def _changes(conn: Connection[Any], code: OrganizationId, now: datetime) -> Iterator[Metric]:
    found = store.modifications(conn, code)
    yield Metric(
        "pfa_modifications",
        Kind.GAUGE,
        "Modifications of all users by state.",
        [
            Sample({"state": state.value}, found.get(state, 0))
            for state in State
            if state is not State.PRISTINE
        ],
    )
    dead, oldest = store.waiting(conn, code)
    yield _gauge("pfa_dead_letters", "Changes that are not sent again without a retry.", dead)
    yield _gauge(
        "pfa_oldest_unsent_change_seconds",
        "Age of the oldest change on its way to PEMS, dead letters left out; 0: there is none.",
        _seconds(oldest, now) if oldest else 0,
    )
    yield _gauge(
        "pfa_conflicts_unresolved",
        "Conflicts that wait for a person.",
        store.conflicts(conn, code),
    )


def _baseline(conn: Connection[Any], code: OrganizationId, now: datetime) -> Iterator[Metric]:
    started = store.baseline(conn, code)
    if started is None:
        return
    yield _gauge(
        "pfa_baseline_age_seconds",
        "Time since the last completed pull began.",
        _seconds(started, now),
    )
    yield _gauge(
        "pfa_baseline_timestamp_seconds",
        "When the last completed pull began.",
        started.timestamp(),
    )


def _behind(conn: Connection[Any], code: OrganizationId) -> Iterator[Metric]:
    found = runs.behind(conn, code)
    yield _gauge(
        "pfa_records_behind",
        "Records that the last complete pull from PEMS refused; every incremental pull asks for them again.",
        found.number,
    )
    if found.since is not None:
        yield _gauge(
            "pfa_records_behind_timestamp_seconds",
            "When the earliest of these records was changed in PEMS.",
            found.since.timestamp(),
        )


def _ended_runs(conn: Connection[Any], code: OrganizationId) -> Iterator[Metric]:
    # Zeros too: a series that begins at 1 has no increase that an alert could see.
    number = {(direction, status): 0 for direction in Direction for status in ENDS}
    number |= {(ended.direction, ended.status): ended.number for ended in store.runs(conn, code)}
    yield Metric(
        "pfa_runs_total",
        Kind.COUNTER,
        "Runs that have ended.",
        [
            Sample({"direction": direction, "status": status}, count)
            for (direction, status), count in number.items()
        ],
    )
    yield Metric(
        "pfa_run_records_total",
        Kind.COUNTER,
        "Records by outcome, as the runs that have ended counted them.",
        [
            Sample({"direction": direction, "outcome": outcome}, count)
            for direction, outcome, count in store.run_records(conn, code)
        ],
    )


def _last_runs(conn: Connection[Any], code: OrganizationId) -> Iterator[Metric]:
    yield Metric(
        "pfa_last_run_timestamp_seconds",
        Kind.GAUGE,
        "When the last run ended so.",
        [
            Sample(
                {"direction": ended.direction, "status": ended.status}, ended.last_at.timestamp()
            )
            for ended in store.runs(conn, code)
            if ended.last_at
        ],
    )
    yield Metric(
        "pfa_last_run_duration_seconds",
        Kind.GAUGE,
        "How long the last run took, however it ended.",
        [
            Sample({"direction": direction}, max(0.0, seconds))
            for direction, seconds in store.durations(conn, code).items()
        ],
    )


def _leases(conn: Connection[Any], code: OrganizationId) -> Metric:
    held = store.held_leases(conn, code, leases.clock(conn))
    samples = [Sample({"direction": name}, int(name in held)) for name in Direction]
    return Metric("pfa_lease_held", Kind.GAUGE, "1 while a run holds the lease.", samples)


def _program(conn: Connection[Any]) -> Iterator[Metric]:
    yield _gauge(
        "pfa_schema_version",
        "Number of the database's schema.",
        schema.version(conn) or 0,
    )
    yield Metric(
        "pfa_build_info",
        Kind.GAUGE,
        "1, with the version of the program.",
        [Sample({"version": _version()}, 1)],
    )


def _gauge(name: str, text: str, value: Number) -> Metric:
    return Metric(name, Kind.GAUGE, text, [Sample({}, value)])


def _labelled(metric: Metric, code: OrganizationId) -> Metric:
    samples = [Sample({"organization": code, **s.labels}, s.value) for s in metric.samples]
    return Metric(metric.name, metric.kind, metric.help, samples)


def _seconds(since: datetime, now: datetime) -> float:
    """Return an age, 0 where the clocks of two hosts differ the other way."""
    return max(0.0, (now - since).total_seconds())


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("pfa")
    except PackageNotFoundError:
        return "unknown"


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help.translate(_HELP_ESCAPES)}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for sample in metric.samples:
        labels = ",".join(
            f'{name}="{value.translate(_LABEL_ESCAPES)}"' for name, value in sample.labels.items()
        )
        braces = f"{{{labels}}}" if labels else ""
        yield f"{metric.name}{braces} {_number(sample.value)}"


def _number(value: Number) -> str:
    return format(value, "f") if isinstance(value, Decimal) else repr(value)
