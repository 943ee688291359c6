"""Pages of an incomplete pull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pfa_core import sql
from pfa_core.model.ids import OrganizationId, RunId
from pfa_core.store import writing
from pfa_core.store.adapters import plain

_SQL = sql.statements("pull_pages")


@dataclass(frozen=True, slots=True)
class Page:
    """A received page: its offset, its number of rows, and the id of its last row."""

    row_offset: int
    row_count: int
    last_id: str


def pages(conn: Connection[Any], organization_id: OrganizationId, run_id: RunId) -> list[Page]:
    """List the pages of a run, in order."""
    with conn.cursor(row_factory=class_row(Page)) as cursor:
        return cursor.execute(_SQL["list"], _run(organization_id, run_id)).fetchall()


def add(
    conn: Connection[Any],
    organization_id: OrganizationId,
    run_id: RunId,
    page: Page,
    ids: Sequence[str],
) -> None:
    """Record a page and the ids of the records that it contained, rejected ones too."""
    values = {**_run(organization_id, run_id), **plain(page), "ids": list(ids)}
    writing.changed(conn, _SQL, "add", values)


def inherit(
    conn: Connection[Any], organization_id: OrganizationId, run_id: RunId, earlier: RunId
) -> None:
    """Give the pages of an earlier run to this one."""
    values = {**_run(organization_id, run_id), "earlier": earlier}
    writing.changed(conn, _SQL, "inherit", values)


def drop(conn: Connection[Any], organization_id: OrganizationId, keep: RunId | None = None) -> None:
    """Delete the pages of all runs but the one to keep."""
    writing.changed(conn, _SQL, "drop", {"organization_id": organization_id, "keep": keep})


def _run(organization_id: OrganizationId, run_id: RunId) -> dict[str, Any]:
    return {"organization_id": organization_id, "run_id": run_id}
