"""Saved views of records: a user's own, and those shared with the organization."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pfa_core import exact_json
from pfa_core.authorization import require, require_filters, require_order
from pfa_core.errors import InvalidData, InvalidRequest, NotFound
from pfa_core.model.audit import Action
from pfa_core.model.principal import Principal
from pfa_core.model.query import parse_sort
from pfa_core.model.record import COSTS
from pfa_core.model.rights import MONEY, VIEWS_OF_OTHERS, Operation
from pfa_core.model.suggest import did_you_mean
from pfa_core.model.view import MOST_OWN, MOST_SHARED, SavedView, View, parse_view, view_name
from pfa_core.operation import Tx, reads, writes
from pfa_core.store import audit
from pfa_core.store import views as store
from pfa_core.store.database import Database
from pfa_core.store.views import ViewRow

KIND = "pfa view 1"
LARGEST = 50_000  # characters of a view as JSON
LARGEST_FILE = 4 * LARGEST  # with indentation


class ViewStatus(StrEnum):
    """What became of a view that was saved."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class SavedViewResult:
    """A view as it is stored now, and what became of it.

    `before`: what was stored under its name.
    """

    saved: SavedView
    status: ViewStatus
    before: SavedView | None = None


@reads(Operation.LIST_VIEWS)
def list_views(tx: Tx) -> list[SavedView]:
    """List the caller's own views and the shared ones, by name.

    Of a name the own comes first. Those of another version of pfa are among them: `SavedView.view` refuses these.
    """
    return _saved(store.views(tx.conn, tx.principal))


@reads(Operation.SHOW_VIEW)
def show_view(tx: Tx, name: str, *, shared: bool | None = None) -> SavedView:
    """Read the view of a name.

    `Query(found.view.filters)` lists its records; `found.view.narrowed(filters)` narrows it.

    Args:
        shared: The organization's, or with False the caller's own; None: the own before the shared.

    Raises:
        NotFound: There is none; a suggestion names the most similar one.
    """
    return _find(tx, name, shared=shared)


def save_view(
    db: Database, principal: Principal, view: View, *, shared: bool = False, dry_run: bool = False
) -> SavedViewResult:
    """Save a view under its name, in place of one that is there.

    Args:
        shared: For all members of the organization, which requires the right `save_draft`. One of another
            author is an administrator's to change.

    Raises:
        InvalidRequest: It is empty or too large, or there are as many as there may be.
        PermissionDenied: An expression or an order by money, which the caller may not see; a shared view
            without the right, or of another author.
    """
    content = view.content()
    if content == {"filters": {}}:
        raise InvalidRequest(
            f"the view {view.name} would be empty", hint="give filters, columns or an order"
        )
    size = len(exact_json.dumps(content))
    if size > LARGEST:
        raise InvalidRequest(
            f"the view {view.name} is too large: {size:,} characters, at most {LARGEST:,}"
        )
    save = save_shared_view if shared else _save_own
    return save(db, principal, view, dry_run=dry_run)


def delete_view(
    db: Database, principal: Principal, name: str, *, shared: bool = False, dry_run: bool = False
) -> SavedView:
    """Delete a view of the caller's own, or a shared one; return what it was.

    Raises:
        NotFound: There is none.
        PermissionDenied: A shared view without the right, or of another author.
    """
    delete = delete_shared_view if shared else _delete_own
    return delete(db, principal, name, dry_run=dry_run)


def read_view(text: str, source: str, *, name: str | None = None) -> View:
    """Read the file of a view, which `view_file` and `pfa view show -o json` write.

    Args:
        source: What errors name.
        name: In place of the name in the file.

    Raises:
        InvalidData: It is not a view, or holds what this version of pfa does not know.
        InvalidRequest: An invalid name.
    """
    if len(text) > LARGEST_FILE:
        raise InvalidData(f"{source} is not a view of pfa: larger than any")
    try:
        content = _object(exact_json.loads(text))
        content = _object(content.get("data", content))
        named = name or content["name"]
        if not isinstance(named, str):
            raise TypeError(f"name {named!r} is not a text")
        if content.get("kind", KIND) != KIND:
            raise ValueError(f"kind {content['kind']!r}, not {KIND!r}")
        if not isinstance(content.get("filters"), Mapping):
            raise TypeError("filters are missing")
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InvalidData(
            f"{source} is not a view of pfa: {reason}",
            hint="make one: pfa view show NAME --to FILE",
        ) from None
    beside = ("kind", "name", *_FACTS)
    if content.get("sort") is None:  # as `pfa view show -o json` says that there is none
        beside = (*beside, "sort")
    return parse_view(
        named, {key: value for key, value in content.items() if key not in beside}, source
    )


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("not a JSON object")
    return value


def view_file(view: View) -> str:
    """Return the text of a file from which `read_view` reads the view."""
    return exact_json.dumps({"kind": KIND, "name": view.name, **view.content()}) + "\n"


# What `pfa view show -o json` says beside the view itself.
_FACTS = (
    "shared",
    "hidesShared",
    "createdBy",
    "createdAt",
    "updatedBy",
    "updatedAt",
    "problem",
    "status",
)


@writes(Operation.SAVE_VIEW, own=True)
def _save_own(tx: Tx, view: View, *, dry_run: bool) -> SavedViewResult:
    return _save(tx, view, shared=False)


@writes(Operation.SAVE_SHARED_VIEW, own=True)
def save_shared_view(tx: Tx, view: View, *, dry_run: bool) -> SavedViewResult:
    """Save a view for all members of the organization."""
    return _save(tx, view, shared=True)


@writes(Operation.DELETE_VIEW, own=True)
def _delete_own(tx: Tx, name: str, *, dry_run: bool) -> SavedView:
    return _delete(tx, name, shared=False)


@writes(Operation.DELETE_SHARED_VIEW, own=True)
def delete_shared_view(tx: Tx, name: str, *, dry_run: bool) -> SavedView:
    """Delete a view of all members of the organization."""
    return _delete(tx, name, shared=True)


def _save(tx: Tx, view: View, *, shared: bool) -> SavedViewResult:
    content = view.content()
    _require_visible(tx, view)
    rows = store.named(tx.conn, tx.principal, view.name)
    before = next((one for one in _saved(rows) if one.shared is shared), None)
    if before and before.content == content:
        return SavedViewResult(before, ViewStatus.UNCHANGED, before)
    _require_author(tx, before)
    stored = store.put(
        tx.conn,
        tx.principal,
        view.name,
        content,
        shared=shared,
        administers=tx.holds(VIEWS_OF_OTHERS),
        at=tx.now(),
    )
    saved = _saved(store.named(tx.conn, tx.principal, view.name))
    found = next((one for one in saved if one.shared is shared), None)
    if not stored:  # another author was quicker, or there are as many as there may be
        _require_author(tx, found)
        most = MOST_SHARED if shared else MOST_OWN
        raise InvalidRequest(
            f"there are {most} {'shared views' if shared else 'views of yours'}, as many as there may be",
            hint="delete one: pfa view delete NAME",
        )
    assert found is not None  # noqa: S101 - it was stored a statement ago
    tx.audit(Action.VIEW_SAVE, [_entry(tx, view.name, before, content, shared=shared)])
    status = ViewStatus.UPDATED if before else ViewStatus.CREATED
    return SavedViewResult(found, status, before)


def _delete(tx: Tx, name: str, *, shared: bool) -> SavedView:
    found = _find(tx, name, shared=shared)
    _require_author(tx, found)
    administers = tx.holds(VIEWS_OF_OTHERS)
    if not store.delete(tx.conn, tx.principal, found.name, shared=shared, administers=administers):
        raise NotFound(f"view not found: {found.name!r}", hint="type: pfa view list")
    tx.audit(Action.VIEW_DELETE, [_entry(tx, found.name, found, None, shared=shared)])
    return found


def _find(tx: Tx, name: str, *, shared: bool | None) -> SavedView:
    rows = store.named(tx.conn, tx.principal, view_name(name))
    found = [one for one in _saved(rows) if shared in (None, one.shared)]
    if found:
        return found[0]
    what = {None: "view", True: "shared view", False: "view of yours"}[shared]
    known = [row.name for row in store.views(tx.conn, tx.principal) if shared in (None, row.shared)]
    other = "; a shared one has this name" if rows and rows[0].shared else ""
    other = "; one of yours has this name" if rows and not rows[0].shared else other
    raise NotFound(
        f"{what} not found: {name!r}{other or did_you_mean(name, known)}",
        hint="type: pfa view list",
    )


def _require_visible(tx: Tx, view: View) -> None:
    """Refuse a view over money that its user may not see, as its use is refused."""
    require_filters(tx.principal, tx.member, view.filters, tx.operation)
    keys = parse_sort(view.sort) if view.sort else ()
    require_order(tx.principal, tx.member, keys, tx.operation, is_money=_is_money)


def _is_money(name: str) -> bool:
    return name in MONEY or name in COSTS


def _require_author(tx: Tx, found: SavedView | None) -> None:
    if found and found.shared and found.created_by != tx.user_id:
        require(
            tx.principal,
            tx.member,
            VIEWS_OF_OTHERS,
            tx.operation,
            why=f"the shared view {found.name} is of {found.created_by}",
        )


def _entry(
    tx: Tx,
    name: str,
    before: SavedView | None,
    after: Mapping[str, Any] | None,
    *,
    shared: bool,
) -> audit.Entry:
    """Make the entry of a change; what an own view holds is its user's alone."""

    def said(content: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if content is None:
            return None
        return {"view": name, "shared": shared, **(content if shared else {})}

    return audit.Entry(
        tx.new_id(), before=said(before.content if before else None), after=said(after)
    )


def _saved(rows: Iterable[ViewRow]) -> list[SavedView]:
    rows = list(rows)
    shared = {row.name for row in rows if row.shared}
    return [
        SavedView(
            name=row.name,
            shared=row.shared,
            content=row.content,
            created_by=row.created_by,
            created_at=row.created_at,
            updated_by=row.updated_by,
            updated_at=row.updated_at,
            hides_shared=not row.shared and row.name in shared,
        )
        for row in rows
    ]
