"""Plans of a commit: exactly these drafts over exactly these values of PEMS."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from pfa_core import exact_json
from pfa_core.drafts.diff import steps
from pfa_core.drafts.listing import BY_ID, active
from pfa_core.drafts.selection import Selection, describe, require_selection
from pfa_core.errors import (
    Fault,
    FaultCode,
    InvalidData,
    InvalidRequest,
    NoDrafts,
    VersionConflict,
)
from pfa_core.model.delta import FieldChange, same
from pfa_core.model.ids import ModificationId, OrganizationId, PfaId, SessionId, UserId
from pfa_core.model.modification import State
from pfa_core.model.money import ZERO, Amount, cents, money
from pfa_core.model.query import Filters
from pfa_core.model.record import FIELDS
from pfa_core.model.rights import MONEY, Operation
from pfa_core.operation import Tx, reads
from pfa_core.store import members

KIND = "pfa commit plan 1"
_PLACES = {name: place for place, name in enumerate(FIELDS)}
# A plan is held whole, once as it was made and once as the commit finds it: some 2,500 bytes for each draft.
MOST_DRAFTS = 25_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDraft:
    """A draft, the version of the mirror that it was seen over, and its effect.

    `changes` are PEMS's values, with what was committed before, and the drafted ones. Hidden money is None.
    """

    pfa_id: PfaId
    modification_id: ModificationId
    session_id: SessionId
    version: int
    mirror_version: int
    changes: tuple[FieldChange, ...]
    cost_effect: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitPlan:
    """What a commit is to do, and nothing else.

    `cost_effect` is that of all drafts on the forecast's cost, rounded once.
    """

    kind: str
    organization: OrganizationId
    user_id: UserId
    made_at: datetime
    cost_effect: Amount
    drafts: tuple[PlannedDraft, ...]
    masked: bool = False


@reads(Operation.PLAN_COMMIT, check=require_selection)
def plan_commit(tx: Tx, selection: Selection) -> CommitPlan:
    """Freeze the principal's selected drafts and the values of PEMS they are over.

    `commit(…, plan=…)` then commits exactly these, or nothing.

    Raises:
        NoDrafts: Nothing of the principal's matches the selection.
        InvalidRequest: More than `MOST_DRAFTS` of them do.
        NotFound: A record that is named does not exist.
    """
    effects: list[Decimal] = []
    with closing(_planned(tx, _filters(tx, selection), effects)) as found:
        drafts = tuple(islice(found, MOST_DRAFTS + 1))
    if len(drafts) > MOST_DRAFTS:
        raise InvalidRequest(
            f"more than {MOST_DRAFTS:,} drafts, which a plan may have",
            hint="plan them by session: pfa plan --session NAME --to FILE",
        )
    if not drafts:
        raise NoDrafts(f"no drafts of {tx.user_id} {describe(selection)}", hint="type: pfa status")
    return CommitPlan(
        kind=KIND,
        organization=tx.organization_id,
        user_id=tx.user_id,
        made_at=tx.now(),
        cost_effect=tx.mask.amount(cents(money(sum(effects, ZERO)))),
        drafts=drafts,
        masked=tx.mask.hides,
    )


def selection_of(plan: CommitPlan) -> Selection:
    """Return the selection of exactly the planned drafts, in their versions."""
    return Selection(expected_versions={one.pfa_id: one.version for one in plan.drafts})


def require_as_planned(tx: Tx, plan: CommitPlan) -> None:
    """Refuse a commit of anything but what was planned.

    Raises:
        InvalidRequest: It is the plan of another user or organization.
        VersionConflict: A draft, a value of PEMS or the effect on cost is not as planned; each is named.
    """
    if (plan.organization, plan.user_id) != (tx.organization_id, tx.user_id):
        raise InvalidRequest(
            f"the plan is of {plan.user_id} in {plan.organization},"
            f" not of {tx.user_id} in {tx.organization_id}"
        )
    effects: list[Decimal] = []
    ids = tuple(one.pfa_id for one in plan.drafts)
    found = {one.pfa_id: one for one in _planned(tx, Filters(id=ids), effects)}
    hidden = plan.masked or tx.mask.hides
    faults = [
        Fault(one.pfa_id, "", FaultCode.VERSION_CONFLICT, reason)
        for one in plan.drafts
        if (reason := _difference(one, found.get(one.pfa_id), hidden=hidden))
    ]
    if faults:
        raise VersionConflict(
            "not as planned, nothing was committed",
            hint="look again and make a new plan: pfa plan --to FILE",
            details=faults,
        )
    effect = cents(money(sum(effects, ZERO)))
    if not hidden and effect != plan.cost_effect:
        raise VersionConflict(
            f"the cost effect is {effect:+,}, planned {plan.cost_effect:+,}; nothing was committed",
            hint="the currency or rate unit of the organization may have changed",
        )


def read_plan(text: str, source: str) -> CommitPlan:
    """Read a plan from the JSON that `pfa plan` wrote.

    Args:
        source: What errors name.

    Raises:
        InvalidData: It is not a plan, or was cut or changed.
    """
    try:
        content = exact_json.loads(text)
        content = content.get("data", content)
        if content["kind"] != KIND:
            raise ValueError(f"kind {content['kind']!r}, not {KIND!r}")
        return _plan(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InvalidData(
            f"{source} is not a plan of pfa plan: {reason}", hint="make one: pfa plan --to FILE"
        ) from None


def _filters(tx: Tx, selection: Selection) -> Filters:
    matching = selection.matching
    filters = replace(
        matching,
        id=matching.id or tuple(selection.expected_versions),
        session=(selection.session_id,) if selection.session_id else (),
    )
    return tx.asked(filters)


def _planned(
    tx: Tx, filters: Filters, effects: list[Decimal]
) -> Generator[PlannedDraft, None, None]:
    """Yield the drafts of matching records, and keep their exact effects."""
    costing = members.costing(tx.conn, tx.organization_id)
    with closing(active(tx, filters, BY_ID)) as found:
        for rows, baseline in found:
            for step in steps(rows, baseline):
                row = step.row
                chosen = not filters.session or row.session_id in filters.session
                if row.state != State.DRAFT or not chosen:
                    continue
                effect = step.money_days(costing)
                effects.append(effect)
                # All drafted fields, equal ones too: the plan is of the draft, not of what shows.
                drafted = [
                    FieldChange(name, step.before.get(name), step.after.get(name))
                    for name in sorted(row.delta, key=_place)
                ]
                yield PlannedDraft(
                    pfa_id=row.pfa_id,
                    modification_id=row.modification_id,
                    session_id=row.session_id,
                    version=row.version,
                    mirror_version=baseline[row.pfa_id].version,
                    changes=tx.mask.changes(drafted, row.delta),
                    cost_effect=tx.mask.amount(cents(money(effect))),
                )


def _place(name: str) -> tuple[int, str]:
    """Return the place of a field in the table of fields; editable ones are all there."""
    return _PLACES.get(name, len(_PLACES)), name


def _difference(planned: PlannedDraft, found: PlannedDraft | None, *, hidden: bool) -> str:
    """Say what is not as planned; empty where all is."""
    if found is None or found.modification_id != planned.modification_id:
        return "the planned draft is gone" if found is None else "another draft is in its place"
    if found.version != planned.version or found.session_id != planned.session_id:
        return f"the draft was saved again: version {found.version}, planned {planned.version}"
    if found.mirror_version != planned.mirror_version:
        return "PEMS changed the record"
    if not _same_changes(planned, found, hidden=hidden):
        return "its values are not those of the plan"
    if not hidden and found.cost_effect != planned.cost_effect:
        return f"its cost effect is {found.cost_effect}, planned {planned.cost_effect}"
    return ""


def _same_changes(planned: PlannedDraft, found: PlannedDraft, *, hidden: bool) -> bool:
    """Return whether both have the same fields with the same values.

    Hidden money may be any.
    """
    here = {one.field: one for one in found.changes}
    if {one.field for one in planned.changes} != here.keys():
        return False
    return all(
        (hidden and one.field in MONEY)
        or (same(one.before, here[one.field].before) and same(one.after, here[one.field].after))
        for one in planned.changes
    )


def _plan(content: Mapping[str, Any]) -> CommitPlan:
    drafts = tuple(map(_draft, _list(content["drafts"])))
    effect = content["costEffect"]
    if len({one.pfa_id for one in drafts}) != len(drafts) or not drafts:
        raise ValueError("drafts are missing or there twice")
    if len(drafts) > MOST_DRAFTS:
        raise ValueError(f"more than {MOST_DRAFTS:,} drafts")
    return CommitPlan(
        kind=KIND,
        organization=OrganizationId(_text(content["organization"])),
        user_id=UserId(_text(content["userId"])),
        made_at=datetime.fromisoformat(_text(content["madeAt"])),
        cost_effect=_amount(effect),
        drafts=drafts,
        masked=effect is None,
    )


def _draft(content: Mapping[str, Any]) -> PlannedDraft:
    return PlannedDraft(
        pfa_id=PfaId(_text(content["pfaId"])),
        modification_id=ModificationId(_text(content["modificationId"])),
        session_id=SessionId(_text(content["sessionId"])),
        version=_number(content["version"]),
        mirror_version=_number(content["mirrorVersion"]),
        changes=tuple(
            FieldChange(_text(one["field"]), one["before"], one["after"])
            for one in _list(content["changes"])
        ),
        cost_effect=_amount(content["costEffect"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _list(value: Any) -> Iterable[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is missing")
    return value


def _amount(value: Any) -> Amount:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"{value!r} is not an amount")
    return cents(Decimal(value))
