"""The digests of texts that the mirror's records were read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from pfa_core import sql
from pfa_core.model.ids import OrganizationId
from pfa_core.model.shape import Shape

_SQL = sql.statements("digests")


@dataclass(frozen=True, slots=True)
class State:
    """How many records the mirror has, and the sum of their versions."""

    records: int = 0
    versions: int = 0


def expected(conn: Connection[Any], organization_id: OrganizationId) -> int:
    """Return about how many records the organization has."""
    return _row(conn, "expected", organization_id)[0]


@dataclass(frozen=True, slots=True)
class Part:
    """Digests that count, one behind the other, of texts of one shape.

    The records without such a digest are a part too, with no bytes.

    `records` and the sum of their versions are those of all parts together.
    """

    shape: Shape
    digests: bytes
    records: int
    versions: int


def load(conn: Connection[Any], organization_id: OrganizationId) -> Iterator[Part]:
    """Yield the digests that count; all records of the mirror are in a part."""
    # As bytes, not as their hexadecimal text.
    with conn.cursor(binary=True) as cursor:
        for bits, unknown, *content in cursor.execute(_SQL["load"], _named(organization_id)):
            digests, records, versions = content
            yield Part(Shape(bits or 0, tuple(unknown or ())), digests or b"", records, versions)


def state(conn: Connection[Any], organization_id: OrganizationId) -> State:
    """Return what differs after another transaction has changed records."""
    return State(*_row(conn, "state", organization_id))


def count_received(conn: Connection[Any], organization_id: OrganizationId) -> int:
    """Count the received records that the mirror has."""
    return _row(conn, "count_received", organization_id)[0]


def of_received(conn: Connection[Any], organization_id: OrganizationId) -> bytes:
    """Return the digests of the received records, one behind the other."""
    return _row(conn, "of_received", organization_id)[0]


def still(
    conn: Connection[Any],
    organization_id: OrganizationId,
    ids: Sequence[str],
    digests: Sequence[bytes],
) -> set[str]:
    """Return those of the records whose digest is the given one and counts."""
    values = {**_named(organization_id), "given": list(ids), "digests": list(digests)}
    return {pfa_id for (pfa_id,) in conn.execute(_SQL["still"], values)}


def _row(conn: Connection[Any], name: str, organization_id: OrganizationId) -> tuple[Any, ...]:
    row = conn.execute(_SQL[name], _named(organization_id)).fetchone()
    assert row is not None, name  # noqa: S101 - an aggregate has a row
    return row


def _named(organization_id: OrganizationId) -> dict[str, Any]:
    return {"organization_id": organization_id}
