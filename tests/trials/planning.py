"""The plan of a history: turns by chance, from a seed, without looking at what happens."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from tests.faults.pusher import PULL_STEPS, PUSH_STEPS
from tests.trials.place import ANYONE, IDS, USERS
from tests.trials.steps import CERTAIN, OF_USERS, RUNS, Act, Blow, Hit, Kind, Turn, Way
from tests.trials.terms import OTHERS_WEIGHTS, OWN_SERVER, PEMS_FAULTS, SLEEPS, USERS_WEIGHTS, Terms

Value = TypeVar("Value")
SESSIONS = ("s", "t")
TEXTS = ("model", "manufacturer", "areaSilo", "category")


@dataclass
class Planner:
    """Plans turns; no two ever give a field of a record the same value.

    Args:
        numbers: Of values. `tokens`: the number of the last token that was issued, `first` that of the first.
    """

    chance: random.Random
    terms: Terms
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    tokens: int = 0
    first: int = 1

    def turns(self) -> Iterator[Turn]:
        """Turns of all actors, without an end."""
        number = 0
        while True:
            wanted = self._some()
            for turn in wanted:
                number += 1
                yield Turn(
                    number=number, actor=turn.actor, acts=turn.acts, way=turn.way, hit=turn.hit,
                    clock=turn.clock, room=turn.room,
                )  # fmt: skip

    def _some(self) -> list[Turn]:
        kind = self.chance.random()
        if kind < self.terms.scenes:
            return self.sent_scene() if self.chance.random() < 0.5 else self.undone_scene()
        return self.of_user(self._one(tuple(USERS))) if kind < 0.65 else self.of_others()

    def undone_scene(self) -> list[Turn]:
        """Two fields: saved, taken away, brought back; a connection may break after any commit of it."""
        user, pfa_id = self._one(tuple(USERS)), self._one(IDS)
        names = self.chance.sample(TEXTS, 2)
        saved = {pfa_id: {name: f"{user} {next(self.numbers)}" for name in names}}
        away = (
            Act(kind=Kind.DISCARD, ids=(pfa_id,)),
            Act(kind=Kind.UNSET, ids=(pfa_id,), words=(names[0],)),
        )
        acts = [
            Act(kind=Kind.SAVE, values=saved, session="s"),
            self._one(away),
            Act(kind=Kind.UNDO),
        ]
        hits: list[Hit | None] = [None] * 6
        hits[self.chance.randrange(6)] = Hit(Blow.CUT, "commit", 1, after=True)
        return [
            Turn(number=0, actor=user, acts=(act,), hit=hit)
            for act, hit in zip(acts, hits, strict=False)
        ]

    def sent_scene(self) -> list[Turn]:
        """A change that meets one of another client before its push, or after one that was killed too late."""
        user, pfa_id, name = self._one(tuple(USERS)), self._one(IDS), self._one(TEXTS)
        mine = {pfa_id: {name: f"{user} {next(self.numbers)}"}}
        theirs = {pfa_id: {name: f"pems {next(self.numbers)}"}}
        push = Act(kind=Kind.PUSH)
        step = self._one(("", "", "write:after", "settle:inside"))
        killed = Turn(number=0, actor=ANYONE, acts=(push,), hit=Hit(Blow.KILL, step))
        return [
            Turn(number=0, actor=user, acts=(Act(kind=Kind.SAVE, values=mine, session="u"),)),
            Turn(number=0, actor=user, acts=(Act(kind=Kind.COMMIT, session="u"),)),
            *([killed] if step else []),
            _plain(Kind.EDIT, Act(kind=Kind.EDIT, values=theirs)),
            Turn(number=0, actor=ANYONE, acts=(push,)),
        ]

    # --- users --------------------------------------------------------------------------------------

    def of_user(self, user: str) -> list[Turn]:
        """A turn of a user: acts whose outcome is certain may come several in one process."""
        kind = self._weighted(USERS_WEIGHTS)
        acts = [self._act(user, kind)]
        if kind in CERTAIN and self.chance.random() < (0.8 if self.terms.together else 0.5):
            kinds = {one: weight for one, weight in USERS_WEIGHTS.items() if one in CERTAIN}
            acts += [
                self._act(user, self._weighted(kinds))
                for _ in range(self.chance.randint(1, self.terms.burst - 1))
            ]
        return [self._turn(user, acts)]

    def _act(self, user: str, kind: Kind) -> Act:
        session = self._one(SESSIONS)
        ids = tuple(sorted(self.chance.sample(IDS, self.chance.choice((1, 1, 2)))))
        match kind:
            case Kind.SAVE:
                values = {pfa_id: self._values(user) for pfa_id in ids[:1]}
                return Act(kind=kind, values=values, session=session)
            case Kind.SHIFT:
                own = [one for place, one in enumerate(IDS) if place % len(USERS) == _place(user)]
                return Act(
                    kind=kind,
                    ids=(self._one(own),),
                    number=self.chance.randint(1, 9),
                    session=session,
                )
            case Kind.UNSET:
                return Act(kind=kind, ids=ids, words=(self._one(TEXTS),))
            case Kind.DISCARD | Kind.COMMIT | Kind.UNCOMMIT:
                by_session = self.chance.random() < 0.6
                return Act(
                    kind=kind, ids=() if by_session else ids, session=session if by_session else ""
                )
            case Kind.RESTORE:
                return Act(kind=kind, ids=ids)
            case Kind.RESOLVE:
                return Act(kind=kind, word=self._one(("mine", "pems")))
            case _:
                return Act(kind=kind)

    def _values(self, user: str) -> dict[str, object]:
        names = self.chance.sample(TEXTS, self.chance.choice((1, 1, 2)))
        values: dict[str, object] = {name: f"{user} {next(self.numbers)}" for name in names}
        if self.chance.random() < 0.2:
            values["monthlyRate"] = (_place(user) + 1) * 1_000_000 + next(self.numbers)
        return values

    # --- others -------------------------------------------------------------------------------------

    def of_others(self) -> list[Turn]:
        """A turn of the runs, of an administrator, of PEMS's other users, of nature."""
        terms = self.terms
        left_out = set() if terms.own_server else set(OWN_SERVER)
        left_out |= set() if terms.small_disk else {Kind.DISK_FULL}
        kind = self._weighted({k: w for k, w in OTHERS_WEIGHTS.items() if k not in left_out})
        if kind is Kind.DISK_FULL:
            return [_plain(kind), *self._during(), _plain(Kind.DISK_FREE)]
        if kind in RUNS:
            return [self._turn(self._one(("ann", "bob")), [self._run(kind)])]
        return [_plain(kind, self._other_act(kind))]

    def _during(self) -> list[Turn]:
        """Turns while the disk is full; together the others are at work anyway."""
        if self.terms.together:
            return []
        return [turn for _ in range(2) for turn in self.of_user(self._one(tuple(USERS)))]

    def _run(self, kind: Kind) -> Act:
        words = self._one(((), ("--incremental",), ("--restart",))) if kind is Kind.PULL else ()
        return Act(kind=kind, words=words)

    def _other_act(self, kind: Kind) -> Act:
        match kind:
            case Kind.EDIT:
                name = self._one((*TEXTS, "monthlyRate"))
                number = next(self.numbers)
                value: object = f"pems {number}" if name in TEXTS else 2000 + number
                return Act(kind=kind, values={self._one(IDS): {name: value}})
            case Kind.PEMS_FAULTS:
                specs = self.chance.sample(PEMS_FAULTS, self.chance.choice((0, 1, 2)))
                return Act(kind=kind, words=tuple(specs), number=self.chance.randint(1, 999))
            case Kind.ISSUE:
                self.tokens = max(self.tokens + 1, self.first)
                return Act(kind=kind, number=self.tokens, word=self._one(tuple(USERS)))
            case Kind.REVOKE | Kind.TOKEN:
                return Act(
                    kind=kind, number=self.chance.randint(self.first, max(self.first, self.tokens))
                )
            case _:
                return Act(kind=kind)

    # --- processes ----------------------------------------------------------------------------------

    def _turn(self, actor: str, acts: Sequence[Act]) -> Turn:
        kind, chance = acts[0].kind, self.chance
        terms = self.terms
        has_library = kind in OF_USERS or kind in (Kind.LIST, Kind.PUSH, Kind.PULL)
        way = Way.PYTHON if has_library and chance.random() < 0.5 else Way.CLI
        hit, clock, room = None, "", 0
        if chance.random() < terms.danger:
            danger = chance.random()
            if danger < 0.06 and terms.clocks and not terms.quick and len(acts) == 1:
                way, clock = Way.EXEC, self._one(("+3h", "-20m", "+20h", "-50m"))
            elif danger < 0.1 and not terms.quick and len(acts) == 1 and way is Way.CLI:
                way, hit = Way.EXEC, Hit(Blow.KILL, "time", chance.randint(100, 400))
            elif kind is Kind.EXPORT:
                room = 1024
            elif kind is Kind.PUSH and danger < 0.2:
                way, room = Way.CLI, 2048
                acts = [Act(kind=kind, word="log")]
            else:
                hit = self._hit(kind)
        return Turn(
            number=0, actor=actor, acts=tuple(acts), way=way, hit=hit, clock=clock, room=room
        )

    def _hit(self, kind: Kind) -> Hit:
        chance, own = self.chance, self.terms.own_server
        if kind in (Kind.PUSH, Kind.PULL) and chance.random() < 0.5:
            steps = PUSH_STEPS if kind is Kind.PUSH else PULL_STEPS
            step = self._one(steps)
            sleeps = step in SLEEPS and chance.random() < 0.2 and not self.terms.quick
            return Hit(Blow.STOP if sleeps else Blow.KILL, step, chance.choice((1, 1, 2)))
        blows = [Blow.KILL] * 3 + [Blow.CUT] * 4
        blows += [Blow.DATABASE_QUIT, Blow.DATABASE_KILL] if own else []
        blows += [] if self.terms.quick else [Blow.STOP, Blow.SILENCE]
        blow = self._one(blows)
        point = "commit" if chance.random() < 0.7 else "statement"
        nth = chance.choice((1, 1, 1, 2)) if point == "commit" else chance.randint(1, 14)
        return Hit(
            blow,
            point,
            chance.randint(3, 20) if blow is Blow.SILENCE else nth,
            chance.random() < 0.5,
        )

    def _one(self, values: Sequence[Value]) -> Value:
        return self.chance.choice(values)

    def _weighted(self, weights: Mapping[Kind, int]) -> Kind:
        numbers = [self.terms.weights.get(kind, weight) for kind, weight in weights.items()]
        return self.chance.choices(list(weights), numbers)[0]


def _plain(kind: Kind, act: Act | None = None) -> Turn:
    return Turn(number=0, actor="ann" if kind in (Kind.ISSUE, Kind.REVOKE, Kind.TOKEN, Kind.VERIFY) else "nature",
                acts=(act or Act(kind=kind),))  # fmt: skip


def _place(user: str) -> int:
    return tuple(USERS).index(user)


def plan(seed: int, length: int, terms: Terms) -> list[Turn]:
    """So many turns of a seed, in one order."""
    planned = Planner(random.Random(seed), terms).turns()
    return [next(planned) for _ in range(length)]
