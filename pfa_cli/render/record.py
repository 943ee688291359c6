"""One record for reading: PEMS value, your value and merged value of each field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Look
from pfa_cli.render.humanize import ago, count
from pfa_cli.render.palette import AFTER, BEFORE, HEADER, Styled
from pfa_cli.render.plain import plain
from pfa_core.model.delta import same
from pfa_core.model.record import FIELDS
from pfa_core.model.rights import MONEY

if TYPE_CHECKING:
    from pfa_core.model.merged import RecordDetail
    from pfa_core.model.modification import ModificationView

Row = Mapping[str, Any]


def detail_rows(detail: RecordDetail, *, all_fields: bool) -> list[Row]:
    """Make a row for each field that has a value anywhere, or for all fields."""
    names = dict.fromkeys((*FIELDS, *detail.baseline, *detail.merged))
    return [_row(detail, name) for name in names if all_fields or _has_value(detail, name)]


def detail_text(detail: RecordDetail, look: Look, *, all_fields: bool) -> str:
    """Format the record as a page: state, modifications, fields, changes by PEMS."""
    from pfa_cli.render.kinds import Column, Kind
    from pfa_cli.render.tables import grid, prose

    cells = [_cells(detail, row) for row in detail_rows(detail, all_fields=all_fields)]
    columns = (
        Column(name="", kind=Kind.STATE),
        Column(name="field", kind=Kind.KEY),
        Column(name="PEMS", kind=Kind.VALUE),
        Column(name="yours", kind=Kind.VALUE),
        Column(name="merged", kind=Kind.VALUE),
    )
    first, *more = _heading(detail)
    heading = [Styled(first, HEADER), *more]
    parts = [prose(heading, look), "", grid(columns, cells, look, may_drop=False)]
    overtaken = _overtaken(detail)
    return "\n".join([*parts, prose(overtaken, look)] if overtaken else parts)


def _cells(detail: RecordDetail, row: Row) -> list[str]:
    """Make the cells of a field, coloured as before and after where it is changed."""
    values = plain(row["baseline"]), _yours(detail, row), plain(row["merged"])
    if row["changed"]:
        before, yours, merged = values
        values = Styled(before, BEFORE), Styled(yours, AFTER), Styled(merged, HEADER)
    return [row["changed"], row["field"], *values]


def _row(detail: RecordDetail, name: str) -> Row:
    return {
        "pfaId": detail.pfa_id,
        "field": name,
        "baseline": detail.baseline.get(name),
        "mine": detail.mine.get(name),
        "merged": detail.merged.get(name),
        "changed": "*" if _changed(detail, name) else "",
    }


def _changed(detail: RecordDetail, name: str) -> bool:
    if name not in detail.mine:
        return False
    masked = detail.masked and name in MONEY
    return masked or not same(detail.mine[name], detail.baseline.get(name))


def _has_value(detail: RecordDetail, name: str) -> bool:
    return name in detail.mine or detail.baseline.get(name) is not None


def _yours(detail: RecordDetail, row: Row) -> str:
    if row["field"] not in detail.mine:
        return ""
    return "null" if row["mine"] is None else plain(row["mine"])


def _heading(detail: RecordDetail) -> list[str]:
    lines = [
        f"{visible(detail.pfa_id)}: {detail.sync_state};"
        f" mirror version {detail.mirror_version}, changed {ago(detail.mirror_updated_at)}"
    ]
    if detail.missing_since:
        lines.append(f"missing in PEMS since {detail.missing_since:%Y-%m-%d}")
    return lines + [_modification(item) for item in detail.modifications]


def _modification(item: ModificationView) -> str:
    reason = f": {item.change_reason}" if item.change_reason else ""
    fields = count(len(item.delta), "field")
    return visible(
        f"{item.state} in session {item.session_id}, version {item.version},"
        f" {fields}, {ago(item.updated_at)}{reason}"
    )


def _overtaken(detail: RecordDetail) -> list[str]:
    if not detail.overtaken:
        return []
    lines = ["", "changed in PEMS as well since your draft:"]
    return lines + [
        f"  {visible(item.field)}: was {_worded(item.base)}, PEMS has {_worded(item.pems)},"
        f" yours is {_worded(item.mine)}"
        for item in detail.overtaken
    ]


def _worded(value: Any) -> str:
    return visible(plain(value)) or "empty"
