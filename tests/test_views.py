"""Saved views: a user's own and the organization's, with and without row-level security."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

import pfa_core
from pfa_core import Filters, Query, SavedView, View, errors
from pfa_core.model import view as views_of
from pfa_core.store import views as store
from pfa_core.views import LARGEST, ViewStatus
from tests import citus
from tests.factories import World, a_world, record
from tests.forms import LONG
from tests.rls.two import authorize
from tests.rls.writing import call, entry, refused
from tests.rls.writing import record as note
from tests.server import bound_url

pytestmark = pytest.mark.every_version
CRANES = View(name="cranes", filters=Filters(category=("Crane",), where="monthlyRate > 500"))
USERS = {"ann": "admin", "ben": "editor", "cleo": "editor", "vic": "viewer"}


BOUND = pytest.mark.parametrize("world", ["1"], ids=["in psql"], indirect=True)


@pytest.fixture(
    params=[pytest.param("", id="alone", marks=LONG), pytest.param("1", id="under policies")]
)
def world(
    request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.setenv("PFA_TEST_BOUND", request.param)
    return a_world(
        database_url, record("P-1"), record("P-2", category="Pump", monthlyRate=9), users=USERS
    )


@pytest.fixture
def foreign(world: World) -> World:
    """Another organization in the same database."""
    return a_world(world.url, record("F-1"), organization="FOREIGN", users={"eve": "admin"})


def save(world: World, user: str, view: View = CRANES, **how: Any) -> str:
    return str(pfa_core.save_view(world.db, world.principal(user), view, **how).status)


def listed(world: World, user: str) -> list[tuple[str, bool, str]]:
    found = pfa_core.list_views(world.db, world.principal(user))
    return [(one.name, one.shared, one.created_by) for one in found]


def shown(world: World, user: str, name: str = "cranes", **how: Any) -> SavedView:
    return pfa_core.show_view(world.db, world.principal(user), name, **how)


def trail(world: World, user: str = "ann") -> list[tuple[str, str, Any, Any]]:
    found = pfa_core.list_log(world.db, world.principal(user), limit=100)
    return [
        (one.user_id, one.action, one.before, one.after)
        for one in reversed(found)
        if one.action.startswith("view_")
    ]


def test_a_view_is_what_was_saved_and_lists_what_its_filters_list(world: World) -> None:
    view = replace(CRANES, columns=("pfaId", "monthlyRate"), sort="-monthlyRate,pfaId")
    assert save(world, "ann", view) == ViewStatus.CREATED
    found = shown(world, "ann")
    assert found.view == view
    assert (found.shared, found.created_by, found.hides_shared) == (False, "ann", False)
    ann = world.principal()
    page = pfa_core.list_records(world.db, ann, Query(found.view.filters))
    assert [one.pfa_id for one in page.records] == ["P-1"]


def test_saving_again_replaces_it_or_changes_nothing(world: World) -> None:
    pumps = replace(CRANES, filters=Filters(category=("Pump",)))
    assert save(world, "ann") == "created"
    assert save(world, "ann") == "unchanged"
    ann = world.principal()
    result = pfa_core.save_view(world.db, ann, pumps)
    assert (result.status, result.before.view if result.before else None) == ("updated", CRANES)
    assert shown(world, "ann").view == pumps
    assert len(trail(world)) == 2


def test_a_dry_run_saves_and_deletes_nothing(world: World) -> None:
    ann = world.principal()
    assert pfa_core.save_view(world.db, ann, CRANES, dry_run=True).status == "created"
    assert listed(world, "ann") == []
    save(world, "ann")
    assert pfa_core.delete_view(world.db, ann, "cranes", dry_run=True).view == CRANES
    assert listed(world, "ann") == [("cranes", False, "ann")]


def test_a_private_view_is_its_owner_s_and_a_shared_one_every_member_s(
    world: World, foreign: World
) -> None:
    save(world, "ben")
    save(world, "ben", replace(CRANES, name="common"), shared=True)
    save(foreign, "eve", replace(CRANES, name="theirs"), shared=True)
    assert listed(world, "ben") == [("common", True, "ben"), ("cranes", False, "ben")]
    for user in ("ann", "cleo", "vic"):
        assert listed(world, user) == [("common", True, "ben")]
        with pytest.raises(errors.NotFound):
            shown(world, user)
        with pytest.raises(errors.NotFound):
            pfa_core.delete_view(world.db, world.principal(user), "cranes")
    assert listed(foreign, "eve") == [("theirs", True, "eve")]
    for name in ("common", "cranes"):
        with pytest.raises(errors.NotFound):
            shown(foreign, "eve", name)
    # The same names in another organization are others.
    assert save(foreign, "eve", replace(CRANES, name="common"), shared=True) == "created"
    assert shown(world, "vic", "common").created_by == "ben"


def test_an_own_view_hides_a_shared_one_of_its_name_and_says_so(world: World) -> None:
    pumps = replace(CRANES, filters=Filters(category=("Pump",)))
    save(world, "ben", shared=True)
    save(world, "cleo", pumps)
    assert (shown(world, "cleo").view, shown(world, "cleo").hides_shared) == (pumps, True)
    assert shown(world, "cleo", shared=True).view == CRANES
    assert shown(world, "ben").view == CRANES
    with pytest.raises(errors.NotFound, match="view of yours not found: 'cranes'; a shared one"):
        shown(world, "ben", shared=False)
    pfa_core.delete_view(world.db, world.principal("cleo"), "cranes")
    assert shown(world, "cleo").view == CRANES


def test_a_shared_view_is_its_author_s_to_change_or_an_administrator_s(world: World) -> None:
    pumps = replace(CRANES, filters=Filters(category=("Pump",)))
    save(world, "ben", shared=True)
    cleo = world.principal("cleo")
    for change in (
        lambda: save(world, "cleo", pumps, shared=True),
        lambda: pfa_core.delete_view(world.db, cleo, "cranes", shared=True),
    ):
        with pytest.raises(
            errors.PermissionDenied, match=r"is of ben; cleo lacks the right manage_se"
        ):
            change()
    assert shown(world, "cleo").view == CRANES
    assert save(world, "ann", pumps, shared=True) == "updated"
    assert (shown(world, "ben").created_by, shown(world, "ben").updated_by) == ("ben", "ann")
    assert save(world, "ben", shared=True) == "updated"
    pfa_core.delete_view(world.db, world.principal("ann"), "cranes", shared=True)
    assert listed(world, "ben") == []


def test_who_may_not_draft_shares_nothing_and_saves_for_themselves(world: World) -> None:
    plain = replace(CRANES, filters=Filters(category=("Crane",)))
    with pytest.raises(errors.PermissionDenied, match="save_draft"):
        save(world, "vic", plain, shared=True)
    assert save(world, "vic", plain) == "created"
    service = world.add_user("service:nightly", "service", rights=["read"])
    with pytest.raises(errors.PermissionDenied, match="is a service"):
        pfa_core.save_view(world.db, service, plain)
    save(world, "ben", plain, shared=True)
    assert pfa_core.show_view(world.db, service, "cranes").view == plain


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    "view",
    [
        View(name="dear", filters=Filters(where="monthlyRate > 1")),
        View(name="dear", filters=Filters(where="category = Crane or pems.purchasePrice is null")),
        View(name="dear", sort="-monthlyRate"),
        View(name="dear", sort="variance"),
    ],
)
def test_a_view_over_money_is_refused_to_who_may_not_see_any(world: World, view: View) -> None:
    with pytest.raises(errors.PermissionDenied, match="view_financials") as refused:
        save(world, "vic", view)
    typed = Query(view.filters, pfa_core.parse_sort(view.sort or ""))
    save(world, "ann", view, shared=True)
    found = shown(world, "vic", "dear")
    asked = Query(found.view.filters, pfa_core.parse_sort(found.view.sort or ""))
    assert asked == typed
    with pytest.raises(errors.PermissionDenied) as used:
        pfa_core.list_records(world.db, world.principal("vic"), asked)
    assert (str(used.value), used.value.details) == (str(refused.value), refused.value.details)


def test_an_unknown_view_is_not_found_and_the_most_similar_one_is_named(world: World) -> None:
    save(world, "ann")
    for find in (shown, lambda w, u, n: pfa_core.delete_view(w.db, w.principal(u), n)):
        with pytest.raises(errors.NotFound) as refused:
            find(world, "ann", "crains")
        assert refused.value.message.endswith("did you mean cranes?")
        assert refused.value.hint == "type: pfa view list"


def test_what_is_shared_is_in_the_trail_and_of_an_own_view_that_there_was_one(world: World) -> None:
    content = CRANES.content()
    save(world, "ben")
    save(world, "ben", shared=True)
    pfa_core.delete_view(world.db, world.principal("ben"), "cranes", shared=True)
    pfa_core.delete_view(world.db, world.principal("ben"), "cranes")
    own, common = {"view": "cranes", "shared": False}, {"view": "cranes", "shared": True, **content}
    assert trail(world) == [
        ("ben", "view_save", None, own),
        ("ben", "view_save", None, common),
        ("ben", "view_delete", common, None),
        ("ben", "view_delete", own, None),
    ]
    assert pfa_core.verify_log(world.owner, world.principal()).whole


def test_there_are_so_many_views_and_no_more(world: World) -> None:
    fill = (
        "INSERT INTO pfa_view SELECT 'ORG', %s, 'v' || i, '{\"sort\": \"pfaId\"}', 'ben', now(), 'ben', now()"
        " FROM generate_series(1, %s) AS i"
    )
    world.execute(fill, "ben", views_of.MOST_OWN - 1)
    world.execute(fill, "", views_of.MOST_SHARED - 1)
    for shared, most in ((False, views_of.MOST_OWN), (True, views_of.MOST_SHARED)):
        assert save(world, "ben", shared=shared) == "created"
        changed = replace(CRANES, sort="pfaId")
        assert save(world, "ben", changed, shared=shared) == "updated"
        with pytest.raises(errors.InvalidRequest, match=f"there are {most} "):
            save(world, "ben", replace(CRANES, name="one more"), shared=shared)
        assert save(world, "ben", replace(CRANES, name="v1"), shared=shared) == "updated"
    assert save(world, "cleo") == "created"
    # Two who shared at once may have gone over it: what is there is replaced all the same.
    world.execute(fill.replace("'v' ||", "'w' ||"), "", 2)
    assert save(world, "ben", CRANES, shared=True) == ViewStatus.UPDATED
    assert shown(world, "ann", shared=True).view == CRANES


def test_a_view_is_bounded_and_not_empty(world: World) -> None:
    large = Filters(id=tuple(f"P-{number:09}" for number in range(LARGEST // 14)))
    with pytest.raises(errors.InvalidRequest, match="too large"):
        save(world, "ann", replace(CRANES, filters=large))
    smaller = replace(large, id=large.id[: LARGEST // 20])
    assert save(world, "ann", replace(CRANES, filters=smaller)) == "created"
    with pytest.raises(errors.InvalidRequest, match="would be empty"):
        save(world, "ann", View(name="nothing"))
    assert save(world, "ann", View(name="order", sort="pfaId")) == "created"


def test_of_two_who_share_a_name_at_once_the_first_is_its_author(world: World) -> None:
    with psycopg.connect(world.url) as first:
        first.execute(
            "INSERT INTO pfa_view VALUES ('ORG', '', 'cranes', '{\"sort\": \"pfaId\"}', 'ben', now(), 'ben', now())"
        )
        # Read before the other has committed: the statement itself looks at the author.
        real, looked = store.named, []
        with pytest.MonkeyPatch.context() as patch:

            def named(*words: Any) -> Any:
                found = real(*words)
                if not looked:
                    first.commit()
                looked.append(found)
                return found

            patch.setattr("pfa_core.views.store.named", named)
            with pytest.raises(errors.PermissionDenied, match="is of ben"):
                save(world, "cleo", shared=True)
    assert looked[0] == []
    assert shown(world, "cleo").view.sort == "pfaId"


# == The application's role in psql ==


@pytest.fixture
def bound(world: World) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(bound_url(world.url), autocommit=True) as conn:
        yield conn


def seen(conn: psycopg.Connection[Any], world: World, user: str, scope: str = "read") -> set[str]:
    with conn.transaction():
        authorize(conn, world.principal(user), scope)
        return {"/".join(row) for row in conn.execute("SELECT user_id, name FROM pfa_view")}


@citus.has_policies
@BOUND
def test_psql_shows_a_user_s_own_views_and_the_shared_ones(
    bound: psycopg.Connection[Any], world: World, foreign: World
) -> None:
    save(world, "ben")
    save(world, "cleo", replace(CRANES, name="secret"))
    save(world, "ben", shared=True)
    save(foreign, "eve", shared=True)
    assert bound.execute("SELECT * FROM pfa_view").fetchall() == []
    assert seen(bound, world, "ben") == {"ben/cranes", "/cranes"}
    for scope in ("read", "save_draft", "manage_users", "manage_settings"):
        assert seen(bound, world, "ann", scope) == {"/cranes"}
    assert seen(bound, world, "ann", "member") == set()


@citus.has_policies
@BOUND
def test_psql_writes_a_view_by_the_functions_alone_and_with_its_entry(
    bound: psycopg.Connection[Any], world: World
) -> None:
    save(world, "ben", shared=True)
    ben, cleo = world.principal("ben"), world.principal("cleo")
    for statement in (
        "INSERT INTO pfa_view VALUES ('ORG', 'cleo', 'x', '{}', 'cleo', now(), 'cleo', now())",
        "UPDATE pfa_view SET name = 'x'",
        "DELETE FROM pfa_view",
        "SELECT * FROM pfa_view FOR UPDATE",
    ):
        with refused(bound, ben, "save_draft"):
            bound.execute(statement)
    given: dict[str, Any] = {"user_id": "cleo", "name": "x", "content": {"sort": "pfaId"}}
    common = {key: given[key] for key in ("name", "content")}
    said = [entry(after={"view": "x"})]
    # In another's name, in another scope, without its entry, an entry without its change.
    with refused(bound, ben, "read"):
        call(bound, "views.put_own", **given)
    with refused(bound, cleo, "member"):
        call(bound, "views.put_own", **given)
    with refused(bound, cleo, "read"):
        call(bound, "views.put_shared", **common)
    with refused(bound, cleo, "read", match="no link"):
        call(bound, "views.put_own", **given)
    with refused(bound, cleo, "read", match="differ"):
        note(bound, "cleo", "view_save", said)
    with refused(bound, cleo, "read", match="differ"):
        call(bound, "views.put_own", **given)
        note(bound, "cleo", "view_delete", said)
    with refused(bound, cleo, "read", match="differ"):
        call(bound, "views.put_own", **given)
        note(bound, "cleo", "view_save", [*said, entry()])
    with bound.transaction():
        authorize(bound, cleo, "read")
        assert call(bound, "views.put_own", **given) == [1]
        note(bound, "cleo", "view_save", said)
    # Of another author nothing is changed, and so there is nothing to say.
    with bound.transaction():
        authorize(bound, cleo, "save_draft")
        assert call(bound, "views.put_shared", **{**common, "name": "cranes"}) == [0]
        assert call(bound, "views.delete_shared", name="cranes") == [0]
    assert shown(world, "ben").view == CRANES
    assert shown(world, "cleo", "x").view.sort == "pfaId"
    assert pfa_core.verify_log(world.owner, world.principal()).whole
