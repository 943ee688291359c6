"""Turns at work: each is given to a process, and what it left is compared with what it may leave."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pfa_core import exact_json
from tests.pems_server import ORG
from tests.trials import expectations, looking
from tests.trials.known import User, Violation
from tests.trials.place import ANYONE, USERS, Place
from tests.trials.processes import Processes, Ran
from tests.trials.remote import RemotePems
from tests.trials.steps import LOOKS, OF_USERS, RUNS, Act, Blow, Kind, Turn
from tests.trials.traps import end_database

# 78: PEMS answered a pull with alerts only.
OF_RUNS = frozenset({0, 3, 69, 75, 76, 78})
NOT_SIGNED_IN = 4
FULL = 3.0  # seconds that the disk is full, while others go on


@dataclass
class Token:
    """An issued token. `revoked`: whether it is; None: the answer to its revocation never came."""

    text: str
    revoked: bool | None = False

    @property
    def token_id(self) -> str:
        payload = self.text.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=="))["jti"])


@dataclass
class Driver:
    """A history under way.

    Args:
        alone: Whether one turn follows the other, so that a read can be compared in whole.
        foreign: Values of other users that a user was shown: reader, record, field, value.
    """

    place: Place
    alone: bool = True
    processes: Processes = field(init=False)
    users: dict[str, User] = field(default_factory=lambda: {user: User() for user in USERS})
    tokens: dict[int, Token] = field(default_factory=dict)
    foreign: set[tuple[str, str, str, str]] = field(default_factory=set)
    starting: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.processes = Processes(self.place, alone=self.alone)

    @property
    def pems(self) -> RemotePems:
        return RemotePems(self.place.port, ORG)

    def run(self, turn: Turn) -> None:
        """Let a turn happen.

        Raises:
            Violation: It left what it may not leave.
        """
        kind = turn.acts[0].kind
        try:
            if kind in OF_USERS or kind in LOOKS:
                self._of_user(turn)
            elif kind in RUNS:
                self._of_run(turn)
            elif kind in (Kind.ISSUE, Kind.REVOKE, Kind.TOKEN, Kind.VERIFY):
                self._of_admin(turn, turn.acts[0])
            else:
                self._from_outside(turn.acts[0])
            if self.alone:
                self.processes.wake(turn.number)
        except Violation as violation:
            violation.add_note(f"turn {turn}")
            raise

    # --- users --------------------------------------------------------------------------------------

    def _of_user(self, turn: Turn) -> None:
        user = self.users[turn.actor]
        before = looking.drafts(self.place, turn.actor)
        expectations.require_unchanged(user, before)
        ids = sorted({one for act in turn.acts if act.kind is Kind.SHIFT for one in act.ids})
        dates = looking.dates(self.place, turn.actor, ids) if ids else {}
        ran = self.processes.run(turn)
        if None in [one.code for one in ran.tried] or ran.code in expectations.UNKNOWN:
            self.processes.settle(turn.actor, ran)
        found = looking.drafts(self.place, turn.actor)
        now = expectations.after(user, ran.tried, found, dates)
        self.users[turn.actor] = looking.with_committed(self.place, now, before, found, ran.tried)
        looking.require_overlaid(self.place, turn.actor, found)
        if turn.acts[0].kind in LOOKS:
            self._read(turn, ran)

    def _read(self, turn: Turn, ran: Ran) -> None:
        kind = turn.acts[0].kind
        path = self.processes.folder(turn) / "export.csv"
        if kind is Kind.EXPORT:
            looking.require_whole_export(path, ran.code)
        if kind is Kind.LIST and ran.code == 0 and turn.hit is None:
            lines = [exact_json.loads(line) for line in ran.out.splitlines()]
            looking.require_own_view(self.users[turn.actor], lines)
            self.foreign |= looking.foreign_values(turn.actor, lines)
            if self.alone:
                looking.require_merged(self.place, turn.actor, lines)

    # --- runs ---------------------------------------------------------------------------------------

    def _of_run(self, turn: Turn) -> None:
        if turn.room:
            log = self.processes.folder(turn) / "full.log"
            log.write_text("." * (turn.room - 100) + "\n")
        ran = self.processes.run(turn)
        if turn.room:
            (self.processes.folder(turn) / "full.log").unlink(missing_ok=True)
        allowed = OF_RUNS | ({74} if turn.room or self._was_full() else set())
        # Under libfaketime a system call ends with EINVAL at times.
        allowed |= (
            {NOT_SIGNED_IN} | ({74} if "Invalid argument" in ran.err else set())
            if turn.clock
            else set()
        )
        for one in ran.tried:
            if one.code is not None and one.code not in allowed:
                raise Violation(f"{one.act.kind} ended with {one.code}: {ran.err[-2000:]}")
        if turn.room and ran.code == 74:
            self.processes.count("full disk for the log")

    # --- administrators -----------------------------------------------------------------------------

    def _of_admin(self, turn: Turn, act: Act) -> None:
        if act.kind is Kind.ISSUE:
            ran = self.processes.run(turn)
            if ran.code == 0:
                self.tokens[act.number] = Token(ran.out.strip())
        elif act.kind is Kind.VERIFY:
            ran = self.processes.run(turn)
            if ran.code not in {0, 69, 75, None} and not self._was_full():
                raise Violation(f"log verify ended with {ran.code}: {ran.out}{ran.err}")
        elif act.number in self.tokens:
            token = self.tokens[act.number]
            if act.kind is Kind.REVOKE:
                self._revoke(turn, act, token)
            else:
                self._use(turn, token)

    def _was_full(self) -> bool:
        """Whether the database's disk may have been full during a turn."""
        return self.place.is_full or (not self.alone and self.place.was_full)

    def _revoke(self, turn: Turn, act: Act, token: Token) -> None:
        ran = self.processes.run(turn, commands=[["auth", "revoke", token.token_id]])
        if ran.code == 0:
            token.revoked = True
        elif ran.code in expectations.UNKNOWN:
            self.processes.settle(turn.actor, ran)
            token.revoked = token.revoked or None

    def _use(self, turn: Turn, token: Token) -> None:
        ran = self.processes.run(turn, token=token.text)
        if ran.code in {None, 69, 74, 75}:
            return
        refused = ran.code == NOT_SIGNED_IN
        if token.revoked is None:
            token.revoked = refused
        if refused != token.revoked:
            state = "revoked" if token.revoked else "good"
            raise Violation(f"a token that is {state} was answered with {ran.code}: {ran.err}")

    def require_tokens(self) -> None:
        """Require that what was revoked stays revoked, and the others good."""
        for number in sorted(self.tokens)[-6:]:
            act = Act(kind=Kind.TOKEN, number=number)
            self._use(Turn(number=0, actor=ANYONE, acts=(act,)), self.tokens[number])

    # --- from outside -------------------------------------------------------------------------------

    def _from_outside(self, act: Act) -> None:
        match act.kind:
            case Kind.EDIT:
                self.processes.count_operation(act)
                for pfa_id, changes in act.values.items():
                    self.pems.change(pfa_id, changes)
            case Kind.PEMS_FAULTS:
                self.set_pems_faults(act.words, act.number)
            case Kind.PEMS_KILL:
                with self.starting:
                    self.place.kill_pems()
                    self.place.start_pems()
                self.processes.count("PEMS killed")
            case _:
                self._hit_the_database(act.kind)

    def _hit_the_database(self, kind: Kind) -> None:
        place = self.place
        if kind in (Kind.DATABASE_QUIT, Kind.DATABASE_KILL):
            blow = Blow.DATABASE_KILL if kind is Kind.DATABASE_KILL else Blow.DATABASE_QUIT
            if place.root and end_database(place.data, kill=blow is Blow.DATABASE_KILL):
                self.processes.count(str(blow))
            return
        if kind is Kind.DISK_FULL and place.small_disk:
            place.fill()
            self.processes.count("full disk of the embedded directory")
            if not self.alone:
                time.sleep(FULL)
        if kind is Kind.DISK_FREE or not self.alone:
            place.free()

    def set_pems_faults(self, specs: Sequence[str], seed: int = 0) -> None:
        """Replace the faults of PEMS, and count those that struck."""
        for spec, times in self.pems.set_faults(specs, seed).items():
            if times:
                self.processes.count(f"PEMS {spec.partition(':')[0]}", times)
