"""The law: what must hold after whatever statement of the application's role was accepted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pfa_core
from pfa_core import errors
from pfa_core.model.principal import Principal
from pfa_core.model.query import Filters, Query
from tests.rls.attack.afterwards import Afterwards
from tests.rls.attack.place import Place
from tests.rls.attack.statements import Attack

# What who manages users may do to anyone.
_ENDED = re.compile("error (InvalidToken|Forbidden|PermissionDenied)")
# Which rights let a bearer change a table; a person's own rows are named in `_own`.
_RUNS = frozenset(("sync", "refresh_data", "import"))
_RIGHTS: dict[str, frozenset[str]] = {
    "pfa_member": frozenset(("manage_users",)),
    "pfa_organization": frozenset(("manage_settings", "manage_users", *_RUNS)),
    "pfa_mirror": _RUNS,
    "pfa_mirror_history": _RUNS,
    "pfa_sync_log": _RUNS,
    "pfa_sync_outcome": _RUNS,
    "pfa_pull_page": _RUNS,
    "pfa_digest": frozenset(("refresh_data", "import")),
    "pfa_lease": _RUNS,
    "kpi_rollup": _RUNS | {"manage_settings"},
    "kpi_month": _RUNS | {"manage_settings"},
    "kpi_field": _RUNS | {"manage_settings"},
    "kpi_overlay": frozenset(("save_draft", "sync", "manage_users", "manage_settings", *_RUNS)),
    "pfa_modification": frozenset(("save_draft", "sync", "manage_users")),
    "pfa_overlay": frozenset(("save_draft", "sync", "manage_users", "manage_settings", *_RUNS)),
    "pfa_sync_conflict": frozenset(("sync", "manage_users")),
    "pfa_view": frozenset(("read",)),
}
_NOBODY = ("pfa_schema_migration", "pfa_signing_key", "pfa_rls_secret", "audit_expected")
# What the trail has to speak of.
_RECORDED = (
    *("pfa_member", "pfa_token", "pfa_modification", "pfa_organization", "pfa_sync_conflict"),
    "pfa_view",
)


_NEW = (
    "SELECT t::text FROM {0} AS t WHERE NOT EXISTS (SELECT FROM saved.{0} AS s WHERE s.{1} = t.{1})"
)
# What a row says of who did it, by table: what is new or changed says the attacker.
_IN_ANOTHERS_NAME = {
    "pfa_modification": (
        _NEW.format("pfa_modification", "modification_id") + " AND t.user_id <> %USER",
        "a modification of another",
    ),
    "audit_log": (
        _NEW.format("audit_log", "entry_id") + " AND t.user_id <> %USER",
        "an entry of another",
    ),
    "pfa_token": (
        _NEW.format("pfa_token", "token_id") + " AND t.issued_by <> %USER",
        "a token issued by another",
    ),
    "pfa_token revoked": (
        "SELECT t::text FROM pfa_token AS t WHERE t.revoked_by IS NOT NULL AND t.revoked_by <> %USER AND NOT EXISTS"
        " (SELECT FROM saved.pfa_token AS s WHERE s.token_id = t.token_id AND s.revoked_by = t.revoked_by)",
        "a token revoked by another",
    ),
    "pfa_view": (
        "SELECT t::text FROM pfa_view AS t LEFT JOIN saved.pfa_view AS s USING (organization_id, user_id, name)"
        " WHERE t.updated_by <> %USER AND t IS DISTINCT FROM s",
        "a view saved by another",
    ),
    "pfa_member": (
        "SELECT t::text FROM pfa_member AS t JOIN saved.pfa_member AS s USING (organization_id, user_id)"
        " WHERE t.granted_by <> s.granted_by AND t.granted_by <> %USER",
        "a membership granted by another",
    ),
}
# What changed of views that is not the attacker's own, with its author.
_VIEWS = """
    SELECT d.user_id, d.created_by FROM (
        (SELECT * FROM pfa_view EXCEPT SELECT * FROM saved.pfa_view)
        UNION ALL (SELECT * FROM saved.pfa_view EXCEPT SELECT * FROM pfa_view)) AS d
    WHERE d.user_id <> %s"""
_OTHERS_CHANGES = """
    SELECT s.user_id
    FROM saved.pfa_modification AS s JOIN pfa_modification AS t USING (modification_id)
    WHERE s.user_id <> %s
      AND (s.user_id, s.pfa_id, s.created_at) IS DISTINCT FROM (t.user_id, t.pfa_id, t.created_at)
       OR s.user_id <> %s AND s.delta <> t.delta"""
# What changed of modifications beside what a run's claim changes.
_BUT_CLAIMS = """
    WITH differ AS (
        (SELECT * FROM pfa_modification EXCEPT SELECT * FROM saved.pfa_modification)
        UNION ALL (SELECT * FROM saved.pfa_modification EXCEPT SELECT * FROM pfa_modification))
    SELECT modification_id FROM differ AS d
    GROUP BY modification_id
    HAVING count(*) <> 2 OR count(DISTINCT to_jsonb(d) - ARRAY['state', 'claim_id', 'attempts', 'sent_version',
        'sent_fields', 'next_attempt_at', 'first_attempt_at', 'generation']) <> 1
        OR bool_or(state NOT IN ('committed', 'sync_error', 'syncing'))"""
# What changed of conflicts beside the values that change and mirror have, which a refresh writes.
_BUT_REFRESHED = """
    WITH shown AS (
        SELECT to_jsonb(t) - 'fields' AS rest FROM pfa_sync_conflict AS t
        WHERE NOT EXISTS (
            SELECT FROM jsonb_array_elements(t.fields) AS f (shown)
            JOIN pfa_mirror AS m ON m.organization_id = t.organization_id AND m.pfa_id = t.pfa_id
            WHERE t.fields <> (SELECT s.fields FROM saved.pfa_sync_conflict AS s
                               WHERE s.conflict_id = t.conflict_id)
              AND shown -> 'pems' IS DISTINCT FROM m.data -> (shown ->> 'field'))),
    kept AS (SELECT to_jsonb(s) - 'fields' AS rest FROM saved.pfa_sync_conflict AS s)
    (SELECT * FROM shown EXCEPT SELECT * FROM kept) UNION ALL (SELECT * FROM kept EXCEPT SELECT * FROM shown)"""
_UNTOLD_RUNS = """
    SELECT claim_id FROM pfa_modification AS m WHERE claim_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM audit_log AS e WHERE e.run_id = m.claim_id AND e.action = 'begin'
                    AND NOT EXISTS (SELECT FROM saved.audit_log AS s WHERE s.entry_id = e.entry_id))"""
_ODD_TIMES = (
    _NEW.format("audit_log", "entry_id")
    + " AND abs(extract(epoch FROM t.at - clock_timestamp())) > 300"
)


def commands(place: Place) -> dict[str, Callable[[], Any]]:
    """The commands of the others, each with what must not change about it."""
    db = place.org.db
    found: dict[str, Callable[[], Any]] = {}

    def add(name: str, call: Callable[[], Any]) -> None:
        found[name] = call

    for user in ("ann", "ben"):
        who = place.principal(user)
        add(
            f"list of {user}", lambda who=who: _ids(pfa_core.list_records(db, who, Query()).records)
        )
        add(f"drafts of {user}", lambda who=who: _drafts(db, who))
        add(f"diff of {user}", lambda who=who: pfa_core.diff(db, who, Filters()) and None)
        add(f"status of {user}", lambda who=who: pfa_core.status(db, who) and None)
        add(f"conflicts of {user}", lambda who=who: len(pfa_core.list_conflicts(db, who)))
        add(f"stats of {user}", lambda who=who: pfa_core.compute_stats(db, who, Filters()) and None)
        add(f"show of {user}", lambda who=who: len(pfa_core.show_records(db, who, ["P-1", "P-2"])))
        add(f"runs of {user}", lambda who=who: pfa_core.list_runs(db, who) and None)
        add(f"save of {user}", lambda who=who: _save(db, who))
        add(f"commit of {user}", lambda who=who: _commit(db, who))
    ann = place.principal("ann")
    add("log", lambda: pfa_core.list_log(db, ann) and None)
    add("tokens", lambda: {"kept ann", "kept ben"} <= {
        row.token_id for row in pfa_core.list_tokens(db, ann)})  # fmt: skip
    add("members", lambda: pfa_core.list_members(db, ann) and None)
    add("conflicts of ben for ann", lambda: len(pfa_core.list_conflicts(db, ann, user_id="ben")))
    add("metrics", lambda: pfa_core.collect(db, ann) and None)
    add("verify", lambda: pfa_core.verify_database(db, ann).clean)
    add("plan", lambda: "ann" in {one.user_id for one in pfa_core.plan_push(db, ann)})
    add("pull", lambda: _pull(place, ann))
    add(
        "revoke tokens",
        lambda: pfa_core.revoke_tokens(db, ann, everyone=True, dry_run=True) and None,
    )
    return found


def _ids(records: Any) -> int:
    return len(list(records))


def _drafts(db: Any, who: Principal) -> Any:
    return sorted((one.pfa_id, str(one.delta)) for one in pfa_core.list_drafts(db, who, Filters()))


def _save(db: Any, who: Principal) -> Any:
    change = pfa_core.Change("P-8", {"model": "new"}, None)
    return len(pfa_core.save(db, who, [change], session_id="next", dry_run=True).saved)


def _commit(db: Any, who: Principal) -> Any:
    selection = pfa_core.Selection(session_id="drafts")
    return len(pfa_core.commit(db, who, selection, dry_run=True).committed)


def _pull(place: Place, who: Principal) -> Any:
    path = str(place.folder / "baseline.jsonl")
    try:
        done = pfa_core.pull_files(place.org.db, who, [path], dry_run=True)
    except errors.LeaseHeld:
        # A run holds the lease; that is what those who may run can do, until it expires.
        return "leased"
    return done.run.status if hasattr(done, "run") else None


class Law:
    """The state before, and what an accepted attack has broken.

    After the first `real` attacks that changed something the others' commands are carried out; after the rest they
    are dry runs.
    """

    def __init__(self, place: Place, real: int = 0) -> None:
        self.place, self.real = place, real
        self.digests = place.digests()
        self.commands = commands(place)
        self.results = {name: _said(call) for name, call in self.commands.items()}
        bad = {name: said for name, said in self.results.items() if str(said).startswith("error")}
        assert not bad, bad
        self.content = {table: place.content(table) for table in place.tables}
        self.members = _members(place)
        self.changed: list[str] = []
        self.afterwards = Afterwards(place, self.commands) if real else None
        self.carried_out = 0

    def broken(self, attack: Attack) -> Iterator[str]:
        """Name what the attack has broken, by clause; what it changed is put back."""
        now = self.place.digests()
        self.changed = changed = [table for table in now if now[table] != self.digests[table]]
        if not changed:
            return
        try:
            yield from self._names(attack, changed)
            yield from self._rights(attack, changed)
            yield from self._trail(attack, changed)
            yield from self._commands(attack, changed)
            yield from self._ends(attack)
            if self.afterwards and self.carried_out < self.real:
                self.carried_out += 1
                yield from self.afterwards.broken(attack)
        finally:
            self.place.restore_all()

    def _commands(self, attack: Attack, changed: list[str]) -> Iterator[str]:
        for name, call in self.commands.items():
            said = _said(call)
            if said == self.results[name] or said == "leased":
                continue
            if str(said).startswith("error"):
                if not (_ENDED.match(str(said)) and "manage_users" in attack.attacker.rights):
                    yield f"1: {name}: {said}"
            elif not self._may_differ(attack, name):
                yield f"1: {name}: {str(self.results[name])[:60]} → {str(said)[:60]}"

    def _may_differ(self, attack: Attack, name: str) -> bool:
        """Whether what the bearer may do changes the answer: an administrator's settlement of ben's conflict."""
        rights = attack.attacker.rights
        if "manage_users" in rights:
            return True
        return bool(rights & _RUNS) and not name.startswith(("drafts", "tokens"))

    def _names(self, attack: Attack, changed: list[str]) -> Iterator[str]:
        """Nothing stands in another's name."""
        user = attack.attacker.user_id
        for table, (statement, said) in _IN_ANOTHERS_NAME.items():
            if table.split()[0] in changed:
                for row in self.place.rows(statement.replace("%USER", "%s"), user or "nobody")[:1]:
                    yield f"2: {said}: {str(row[0])[:160]}"
        others = (
            self.place.rows(_OTHERS_CHANGES, user, user) if "pfa_modification" in changed else []
        )
        if others and "manage_users" not in attack.attacker.rights:
            yield "2: another's modification has other values"
        if "audit_log" in changed and self.place.rows(_ODD_TIMES):
            yield "2: audit_log.at is not the time"

    def _rights(self, attack: Attack, changed: list[str]) -> Iterator[str]:
        """Nothing exceeds the rights of the bearer."""
        rights, user = attack.attacker.rights, attack.attacker.user_id
        for table in changed:
            if table in _NOBODY:
                yield f"3: {table} changed"
            elif table in _RIGHTS and not rights & _RIGHTS[table] and not self._own(table, user):
                yield f"3: {table} without {' or '.join(sorted(_RIGHTS[table]))}"
            elif not rights and not user:
                yield f"3: {table} without a token"
        yield from self._drafts(rights, user) if "pfa_modification" in changed else ()
        yield from self._views(rights, user) if "pfa_view" in changed else ()
        if "pfa_member" in changed:
            for who, held in _members(self.place).items():
                gained = held - self.members.get(who, frozenset())
                if not gained <= rights:
                    yield f"3: {who} gained {', '.join(sorted(gained - rights))}"
        if any("FOREIGN" in row for table in changed for row in self._foreign(table)):
            yield "3: another organization's rows changed"

    def _drafts(self, rights: frozenset[str], user: str) -> Iterator[str]:
        ((drafts, committed),) = self.place.rows(
            "SELECT count(*) FILTER (WHERE state = 'draft'), count(*) FILTER (WHERE state <> 'draft')"
            " FROM pfa_modification AS t WHERE user_id = %s AND NOT EXISTS (SELECT FROM saved.pfa_modification"
            " AS s WHERE s.modification_id = t.modification_id AND s.state = t.state AND s.delta = t.delta)",
            user,
        )
        if drafts and "save_draft" not in rights and "manage_users" not in rights:
            yield "3: a draft without save_draft"
        if committed and not {"save_draft", "sync"} <= rights:
            yield "3: a change without save_draft and sync"

    def _views(self, rights: frozenset[str], user: str) -> Iterator[str]:
        for owner, author in self.place.rows(_VIEWS, user):
            if owner:
                yield f"3: a view of {owner}"
            elif "save_draft" not in rights:
                yield "3: a shared view without save_draft"
            elif author != user and "manage_settings" not in rights:
                yield f"3: a shared view of {author}"

    def _foreign(self, table: str) -> set[str]:
        if not any(name == "organization_id" for name, _ in self.place.columns[table]):
            return set()
        rows = self.place.rows(
            f"(SELECT t::text FROM {table} AS t WHERE organization_id = 'FOREIGN')"
        )
        kept = {row for row in self.content[table] if row.startswith("(FOREIGN,")}
        return {row[0] for row in rows} ^ kept

    def _own(self, table: str, user: str) -> bool:
        """Whether only the time from which the bearer's own tokens are good changed."""
        if table != "pfa_member":
            return False
        rest = [name for name, _ in self.place.columns[table] if name != "tokens_since"]
        listed = ", ".join(rest)
        both = f"SELECT {listed} FROM {table} EXCEPT SELECT {listed} FROM saved.{table}"
        since = (
            f"SELECT 1 FROM {table} AS t JOIN saved.{table} AS s USING (organization_id, user_id)"
            " WHERE t.tokens_since IS DISTINCT FROM s.tokens_since AND t.user_id <> %s"
        )
        return not self.place.rows(both) and not self.place.rows(since, user)

    def _trail(self, attack: Attack, changed: list[str]) -> Iterator[str]:
        """Every change is in the trail, and the chain is whole."""
        try:
            report = pfa_core.verify_log(self.place.org.owner, self.place.principal("ann"))
            if report.flaws:
                yield f"4: the chain is not whole: {report.flaws[0]}"
        except (errors.NotSignedIn, errors.NotAllowed):
            # Who manages users may end ann's membership.
            if "manage_users" not in attack.attacker.rights:
                yield "4: the trail cannot be checked"
        spoken = [table for table in changed if table in _RECORDED]
        if "pfa_modification" in spoken and not self.place.rows(_BUT_CLAIMS):
            spoken.remove("pfa_modification")
            if self.place.rows(_UNTOLD_RUNS):
                yield "4: a run has claimed, and the trail does not say that it began"
        if "pfa_sync_conflict" in spoken and not self.place.rows(_BUT_REFRESHED):
            spoken.remove("pfa_sync_conflict")
        if spoken and "audit_log" not in changed:
            yield f"4: {', '.join(spoken)} changed, and the trail does not say so"

    def _ends(self, attack: Attack) -> Iterator[str]:
        """An administrator ends the token, and takes the member's work away."""
        user, db, ann = attack.attacker.user_id, self.place.org.db, self.place.principal("ann")
        if not user or user not in self.members or "FOREIGN" in attack.attacker.organization:
            return
        for name, end in (
            ("revoke tokens", lambda: pfa_core.revoke_tokens(db, ann, user_id=user, dry_run=True)),
            ("revoke member", lambda: pfa_core.revoke(db, ann, user, dry_run=True)),
        ):
            try:
                end()
            except errors.NotFound:
                continue
            except (errors.NotSignedIn, errors.NotAllowed):
                if "manage_users" not in attack.attacker.rights:
                    yield f"5: {name}: ann may not any more"
            except Exception as error:
                yield f"5: {name}: {_error(error)}"


def _members(place: Place) -> dict[str, frozenset[str]]:
    rows = place.rows("SELECT user_id, rights FROM pfa_member WHERE organization_id = 'ORG'")
    return {user: frozenset(filter(None, rights)) for user, rights in rows}


def _said(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return f"error {_error(error)}"


def _error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:160]
