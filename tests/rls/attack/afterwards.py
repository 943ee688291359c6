"""What the others do after an attack, for real: push, end the attacker's token and membership, repair, go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg

import pfa_core
from pfa_core import errors
from pfa_core.model.delta import same
from pfa_core.model.principal import Principal
from pfa_core.pems.sandbox.server import Outcome, Sandbox
from tests.pems_server import a_profile
from tests.rls.attack.place import Attacker, Place
from tests.rls.attack.statements import Attack

# Who sent what: the record, the user in whose name, the fields with their values.
Sent = tuple[str, str, tuple[str, ...]]
_EXPIRE = "UPDATE pfa_lease SET expires_at = clock_timestamp() - interval '1 s', heartbeat_at = acquired_at"
_UNSENT = (
    "SELECT count(*) FROM pfa_modification WHERE user_id = 'ann' AND organization_id = 'ORG'"
    " AND state IN ('committed', 'syncing')"
)


class Afterwards:
    """The commands of an administrator and the others after an attack; what they change stays."""

    def __init__(self, place: Place, commands: Mapping[str, Callable[[], Any]]) -> None:
        self.place, self.commands = place, commands
        with self._a_pems() as pems:
            self.sent = self._push(pems)[0]
        assert any(by == "ann" for _, by, _ in self.sent), self.sent
        self.committed: dict[tuple[str, str], list[tuple[str, ...]]] = {}
        for pfa_id, by, delta in place.rows(
            "SELECT pfa_id, user_id, delta FROM saved.pfa_modification WHERE state <> 'draft'"
        ):
            self.committed.setdefault((pfa_id, by), []).append(_fields(delta))
        self.expected = {name: call() for name, call in commands.items() if "drafts" in name}
        place.restore_all()

    def broken(self, attack: Attack) -> Iterator[str]:
        """Name what the attack has broken, by clause."""
        who, manages = attack.attacker, "manage_users" in attack.attacker.rights
        try:
            with self._a_pems() as pems:
                yield from self._sent(pems, who)
                yield from self._ended(who)
                yield from self._repaired(pems, who)
        except (errors.NotSignedIn, errors.NotAllowed) as error:
            # Who manages users may end ann's membership.
            if not manages:
                yield f"5: ann may not any more: {error}"

    def _a_pems(self) -> Sandbox:
        """A PEMS with the records of the beginning."""
        return Sandbox(organization="ORG", records=self.place.records)

    def _push(self, pems: Sandbox) -> tuple[set[Sent], str]:
        """Push; what PEMS has applied, and what went wrong."""
        ann, said = self.place.principal("ann"), ""
        try:
            pfa_core.push_changes(self.place.org.db, ann, a_profile(pems.url))
        except (errors.NotSignedIn, errors.NotAllowed, errors.LeaseHeld):
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"[:160]
        sent = {
            (one.write.pfa_id, one.write.by, _fields(one.write.changes or {}))
            for one in pems.log
            if one.outcome is Outcome.APPLIED
        }
        return sent, said

    def _pushed(self, pems: Sandbox, who: Attacker) -> tuple[set[Sent], str]:
        """Push; where a run of the attacker's holds the lease, after that has expired."""
        try:
            return self._push(pems)
        except errors.LeaseHeld as error:
            if "sync" not in who.rights:
                return set(), str(error)
            self.place.rows(_EXPIRE)
            return self._push(pems)

    def _sent(self, pems: Sandbox, who: Attacker) -> Iterator[str]:
        sent, said = self._pushed(pems, who)
        if said:
            yield f"1: push: {said}"
        for pfa_id, by, values in sorted(sent - self.sent):
            if by != who.user_id and "manage_users" not in who.rights:
                # What another has committed may go where what precedes it does not.
                if not any(
                    set(values) <= set(held) for held in self.committed.get((pfa_id, by), ())
                ):
                    yield f"2: a push sends {pfa_id} in the name of {by}: {str(values)[:80]}"
            elif by == who.user_id and not {"save_draft", "sync"} <= who.rights:
                yield f"3: a push sends {pfa_id} of {by}, who may not commit"
        if not who.rights & {"sync", "manage_users"}:
            for pfa_id, by, _ in sorted(self.sent - sent):
                yield f"1: a push does not send {pfa_id} of {by}"

    def _ended(self, who: Attacker) -> Iterator[str]:
        """An administrator ends the token, and the membership."""
        if not who.user_id or who.organization != "ORG":
            return
        db, ann = self.place.org.db, self.place.principal("ann")
        for name, end in (
            ("the token", lambda: pfa_core.revoke_tokens(db, ann, user_id=who.user_id)),
            ("the membership", lambda: pfa_core.revoke(db, ann, who.user_id)),
        ):
            try:
                end()
            except errors.NotFound:
                pass  # nothing to end: the token is another organization's, or the membership has ended
            except errors.IllegalTransition:
                if "manage_users" not in who.rights:
                    yield f"5: {name} of the last administrator"
                return
            except (errors.NotSignedIn, errors.NotAllowed):
                raise
            except Exception as error:
                yield f"5: {name} is not ended: {type(error).__name__}: {error}"[:200]
            for scope in ("member", "read", "sync"):
                if self._may(who, scope):
                    yield f"5: {name} has ended, and {who.name} is authorized for {scope}"

    def _may(self, who: Attacker, scope: str) -> bool:
        with psycopg.connect(self.place.bound) as conn:
            try:
                words = [who.token, "ORG", scope]
                found = conn.execute("SELECT pfa_authorize(%s, %s, %s)", words).fetchall()
            except psycopg.Error as error:
                if not (error.sqlstate or "").startswith("PFA"):
                    raise
                return False
            return bool(found)

    def _repaired(self, pems: Sandbox, who: Attacker) -> Iterator[str]:
        """What the attack left is gone or harmless after the administrator's commands, and the others go on."""
        db, ann = self.place.org.db, self.place.principal("ann")
        manages = "manage_users" in who.rights
        self.place.rows(_EXPIRE)
        for name, call in (
            ("db verify --repair", lambda: pfa_core.verify_database(db, ann, repair=True)),
            ("sync pull", lambda: self._pull(pems, ann)),
            ("db verify", lambda: _require(pfa_core.verify_database(db, ann).clean)),
            ("log verify", lambda: _require(pfa_core.verify_log(db, ann).whole)),
            *self.commands.items(),
        ):
            try:
                said = call()
            except (errors.NotSignedIn, errors.NotAllowed):
                raise
            except errors.BaselineConflict as error:
                # The attacker's own change of the record has reached PEMS before.
                if not {"save_draft", "sync"} <= who.rights:
                    yield f"5: {name} after the end: {error}"[:200]
                continue
            except Exception as error:
                yield f"5: {name} after the end: {type(error).__name__}: {error}"[:200]
                continue
            if name in self.expected and said != self.expected[name] and not manages:
                yield f"5: {name} after the end: {self.expected[name]} → {said}"[:200]
        sent, said = self._pushed(pems, who)
        if said:
            yield f"5: push after the end: {said}"
        if self.place.rows(_UNSENT) != [(0,)] and not manages:
            yield f"5: changes of ann wait after the end, though {len(sent)} were sent"

    def _pull(self, pems: Sandbox, ann: Principal) -> None:
        """Pull all from PEMS: the mirror has each of its records as it is there."""
        pfa_core.pull_pems(self.place.org.db, ann, a_profile(pems.url))
        mirror = self.place.org.mirror()
        wrong = {
            (one.pfa_id, name): (mirror[one.pfa_id].get(name), value)
            for one in pems.records
            for name, value in one.data.items()
            if name in self.place.records[0] and not same(mirror[one.pfa_id].get(name), value)
        }
        assert not wrong, wrong


def _fields(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(f"{name}={value!r}" for name, value in values.items()))


def _require(good: bool) -> bool:
    assert good
    return good
