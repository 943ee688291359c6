"""What a user's drafts may be after a turn, given what they were before: pure, without a database.

A user's own acts alone change their drafts, one process at a time. Whatever else happens meanwhile, what the drafts
are before a turn is what they were after the one before. An act that was answered with success has happened,
one that was refused has not; of one that was not answered either is right, but nothing between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from tests.trials.known import Change, Draft, Drafts, Tried, User, Violation, shown
from tests.trials.steps import CERTAIN, Act, Kind

DATES = ("forecastStart", "forecastEnd")
DONE = frozenset({0, 3})
UNKNOWN = frozenset({None, 74, 76, 130, 143})
# 69: the database was not reached, or it is known that nothing was committed. 75: another holds what it needs.
REFUSED = frozenset({2, 4, 5, 6, 7, 9, 69, 75})


def after(user: User, tried: Sequence[Tried], found: Drafts, dates: Mapping[str, Any]) -> User:
    """What is known of a user after a turn.

    Args:
        tried: The acts that were begun.
        found: The drafts as they are now.
        dates: The forecast dates below the user's drafts, by record.

    Raises:
        Violation: The drafts cannot be what they are.
    """
    states = [user]
    for one in tried:
        states = [state for old in states for state in _after(old, one, found, dates)]
    fitting = [state for state in states if _equal(state.drafts, found)]
    if not fitting:
        wanted = "\n      or ".join(shown(state.drafts) for state in states)
        acts = ", ".join(f"{one.act.kind} {one.code}" for one in tried)
        raise Violation(f"after {acts}\n  drafts {shown(found)}\n  wanted {wanted}")
    return _learned(fitting[0], found)


def require_unchanged(user: User, found: Drafts) -> None:
    """Require that nothing but the user changed the user's drafts."""
    if not _equal(user.drafts, found):
        raise Violation(
            f"drafts {shown(found)}\n  wanted {shown(user.drafts)}\n  since the last turn"
        )


def _after(user: User, tried: Tried, found: Drafts, dates: Mapping[str, Any]) -> list[User]:
    """The states that an act may leave; the one without it first."""
    code = tried.code
    if code in REFUSED:
        return [user]
    if code not in DONE and code not in UNKNOWN:
        raise Violation(f"{tried.act.kind} ended with {code}")
    done = _done(user, tried.act, found, dates)
    if done is None:
        if code in DONE:
            raise Violation(f"{tried.act.kind} succeeded where nothing is left to it")
        return [user]
    return [done] if code in DONE else [user, done]


def _done(user: User, act: Act, found: Drafts, dates: Mapping[str, Any]) -> User | None:
    """The state after the act has happened; None: it cannot."""
    match act.kind:
        case Kind.UNDO:
            return _undone(user)
        case Kind.REDO:
            return _redone(user)
        case Kind.RESOLVE:
            return user
        case kind if kind in CERTAIN:
            return _operated(user, _EFFECTS[kind](user.drafts, act, dates), act.kind)
        case Kind.COMMIT:
            kept = {i: d for i, d in user.drafts.items() if not _selected(i, d, act)}
            return _operated(user, kept, act.kind)
        case Kind.UNCOMMIT | Kind.RESTORE:
            return _operated(user, _brought_back(user, act, found), act.kind)
        case _:
            return user


def _operated(user: User, drafts: Drafts, kind: Kind) -> User:
    """The user after an act that left these drafts; only a change counts as an operation."""
    change = Change.between(user.drafts, drafts)
    if not change.drafts:
        return user
    discarded = dict(user.discarded)
    for pfa_id, (before, now) in change.drafts.items():
        # A draft that a save or an unset empties is gone, too, and comes back by a restore.
        if before and (now is None or kind in CERTAIN) and kind is not Kind.COMMIT:
            discarded[pfa_id] = (*discarded.get(pfa_id, ()), before)
    return replace(user, drafts=drafts, operations=(*user.operations, change), discarded=discarded)


def _undone(user: User) -> User | None:
    left = [place for place in range(len(user.operations)) if place not in user.undone]
    if not left:
        return None
    drafts = user.operations[left[-1]].applied(user.drafts, back=True)
    return replace(user, drafts=drafts, undone=(*user.undone, left[-1]))


def _redone(user: User) -> User | None:
    if not user.undone:
        return None
    drafts = user.operations[user.undone[-1]].applied(user.drafts, back=False)
    return replace(user, drafts=drafts, undone=user.undone[:-1])


def _saved(drafts: Drafts, act: Act, dates: Mapping[str, Any]) -> Drafts:
    found = dict(drafts)
    for pfa_id, delta in act.values.items():
        found[pfa_id] = _more(drafts.get(pfa_id), delta, act.session)
    return found


def _shifted(drafts: Drafts, act: Act, dates: Mapping[str, Any]) -> Drafts:
    found = dict(drafts)
    for pfa_id in act.ids:
        draft, below = drafts.get(pfa_id), dates[pfa_id]
        seen = {**below, **(draft.delta if draft else {})}
        delta = {name: _later(seen[name], act.number) for name in DATES}
        more = replace(_more(draft, delta, act.session), session=act.session)
        # The draft does not hold a field that the record has without it.
        kept = {k: v for k, v in more.delta.items() if k not in DATES or v != below[k]}
        found[pfa_id] = replace(more, delta=kept)
        if not kept:
            del found[pfa_id]
    return found


def _unset(drafts: Drafts, act: Act, dates: Mapping[str, Any]) -> Drafts:
    found = dict(drafts)
    for pfa_id in act.ids:
        draft = drafts.get(pfa_id)
        if draft:
            kept = {name: value for name, value in draft.delta.items() if name not in act.words}
            found[pfa_id] = replace(draft, delta=kept)
            if not kept:
                del found[pfa_id]
    return found


def _discarded(drafts: Drafts, act: Act, dates: Mapping[str, Any]) -> Drafts:
    return {i: draft for i, draft in drafts.items() if not _selected(i, draft, act)}


_EFFECTS: Mapping[Kind, Callable[[Drafts, Act, Mapping[str, Any]], Drafts]] = {
    Kind.SAVE: _saved,
    Kind.SHIFT: _shifted,
    Kind.UNSET: _unset,
    Kind.DISCARD: _discarded,
}


def _brought_back(user: User, act: Act, found: Drafts) -> Drafts:
    """The drafts with those that came back, which must be among what was committed or discarded."""
    drafts = dict(user.drafts)
    source = _committed if act.kind is Kind.UNCOMMIT else _discards
    for pfa_id, draft in found.items():
        if pfa_id not in drafts and any(_fits(draft, one) for one in source(user, pfa_id, act)):
            drafts[pfa_id] = draft
    return drafts


def _committed(user: User, pfa_id: str, act: Act) -> Iterable[Draft]:
    for known, draft in user.committed.values():
        if known == pfa_id and _selected(pfa_id, draft, act):
            yield draft


def _discards(user: User, pfa_id: str, act: Act) -> Iterable[Draft]:
    return user.discarded.get(pfa_id, ()) if pfa_id in act.ids else ()


def _fits(draft: Draft, former: Draft) -> bool:
    """Whether a draft is a former one, but for values that are the record's by now."""
    return draft.session == former.session and draft.delta.items() <= former.delta.items()


def _selected(pfa_id: str, draft: Draft, act: Act) -> bool:
    return (not act.ids or pfa_id in act.ids) and act.session in ("", draft.session)


def _more(draft: Draft | None, delta: Mapping[str, Any], session: str) -> Draft:
    if draft is None:
        return Draft(session, dict(delta))
    return replace(draft, delta={**draft.delta, **delta})


def _later(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _equal(one: Drafts, other: Drafts) -> bool:
    """Whether drafts are equal; where both ids are known these too."""
    if one != other:
        return False
    ids = [(draft.modification, other[pfa_id].modification) for pfa_id, draft in one.items()]
    return all(mine == theirs for mine, theirs in ids if mine and theirs)


def _learned(user: User, found: Drafts) -> User:
    """The user with the ids of the drafts; ids that are drafts again are not committed any more."""
    held = {draft.modification for draft in found.values()}
    committed = {key: what for key, what in user.committed.items() if key not in held}
    return replace(user, drafts=dict(found), committed=committed)


def committed(user: User, before: Drafts, gone: Iterable[str]) -> User:
    """The user, who committed these drafts of those before, by their ids."""
    ids = set(gone)
    more = {
        draft.modification: (pfa_id, draft)
        for pfa_id, draft in before.items()
        if draft.modification in ids
    }
    return replace(user, committed={**user.committed, **more})
