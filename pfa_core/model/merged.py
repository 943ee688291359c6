"""Merged records as they are shown: one, a page of them, one with all its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pfa_core import exact_json
from pfa_core.model.ids import PfaId, SessionId, UserId

if TYPE_CHECKING:
    from pfa_core.model.costs import RecordCosts
    from pfa_core.model.delta import FieldConflict
    from pfa_core.model.modification import ModificationView, State
    from pfa_core.record_types import PfaRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedRecord:
    """One record as the caller sees it.

    `data_json` is the merged record as PostgreSQL writes it, every digit kept; the rest describes the
    topmost modification: version 0 and None where the record is pristine. Where `masked`, money is null.
    `costs` are None unless the query asks for them.
    """

    pfa_id: PfaId
    data_json: str
    sync_state: str
    session_id: SessionId | None
    version: int
    modified_at: datetime | None
    modified_by: UserId | None
    masked: bool = False
    costs: RecordCosts | None = None

    @property
    def data(self) -> dict[str, Any]:
        """Return the merged record; numbers with a point are Decimal."""
        return exact_json.loads(self.data_json)

    def typed(self) -> PfaRecord:
        """Return the merged record with the types of its fields; loads pydantic.

        Raises:
            InvalidData: See `typed_record`.
        """
        from pfa_core.record_types import typed_record

        return typed_record(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """Some of the matching records in order, and how many match.

    `next` is the cursor after the last one, None at the end.
    """

    records: list[MergedRecord]
    total_records: int
    page: int
    page_size: int
    next: str | None

    @property
    def total_pages(self) -> int:
        """Return how many pages of this size there are."""
        return -(-self.total_records // self.page_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDetail:
    """One record whole: the mirror's values, the caller's stacked delta, both merged.

    Where `masked`, money is None.
    """

    pfa_id: PfaId
    baseline: Mapping[str, Any]
    mine: Mapping[str, Any]
    merged: Mapping[str, Any]
    mirror_version: int
    mirror_updated_at: datetime
    missing_since: datetime | None
    sync_state: State
    modifications: list[ModificationView]
    overtaken: list[FieldConflict]
    masked: bool = False

    def typed(self) -> PfaRecord:
        """Return the merged record with the types of its fields; loads pydantic.

        Raises:
            InvalidData: See `typed_record`.
        """
        from pfa_core.record_types import typed_record

        return typed_record(self.merged)
