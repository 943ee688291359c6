"""Values that fit the parameters of the functions that write: what an attacker gives who knows the program."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from tests.rls.attack.place import SCOPES, Attacker, Place

# What is called one after the other in a transaction, so that each finds what it asks for.
_RUN = ("leases_acquire", "runs_put")
_CLAIM = (*_RUN, "queue_claim")
CHAINS: dict[tuple[str, ...], tuple[str, ...]] = {
    _CLAIM: ("sync",),
    (*_CLAIM, "queue_mark"): ("sync",),
    (*_CLAIM, "queue_acknowledge"): ("sync",),
    (*_CLAIM, "queue_acknowledge", "shift_bases"): ("sync",),
    (*_CLAIM, "queue_acknowledge", "mirror_create_incoming", "incoming", "mirror_take_in"): ("sync",),
    (*_CLAIM, "queue_reject"): ("sync",),
    (*_CLAIM, "queue_hand_back"): ("sync",),
    (*_CLAIM, "queue_dispute", "conflicts_insert"): ("sync",),
    (*_CLAIM, "runs_outcomes", "runs_put"): ("sync",),
    ("queue_requeue",): ("sync",),
    (*_RUN, "mirror_create_incoming", "incoming", "mirror_take_in", "runs_put"): ("refresh_data", "import"),
    (*_RUN, "pull_pages_add"): ("refresh_data", "import"),
    (*_RUN, "mirror_mark_missing_records"): ("refresh_data", "import"),
    (*_RUN, "leases_beat", "leases_release"): ("sync", "refresh_data", "import"),
    ("modifications_insert_drafts", "overlays_put_stacked"): ("save_draft",),
    ("modifications_update_drafts", "overlays_put_stacked"): ("save_draft",),
    ("modifications_update_draft",): ("save_draft", "commit"),
    ("modifications_delete_drafts", "overlays_drop_overlays"): ("save_draft",),
    ("overlays_drop_overlays",): ("save_draft", "manage_settings"),
    ("overlays_put_only",): ("commit", "manage_users"),
    ("modifications_commit_up_to_date",): ("commit",),
    ("modifications_commit_drafts",): ("commit",),
    ("modifications_commit_draft",): ("commit",),
    ("modifications_uncommit",): ("commit",),
    ("conflicts_resolve", "conflicts_recommit"): ("commit", "manage_users"),
    ("conflicts_resolve", "conflicts_drop"): ("commit", "manage_users"),
    ("conflicts_resolve",): ("commit", "manage_users"),
    ("conflicts_recommit",): ("manage_users",),
    ("conflicts_refresh",): ("commit", "manage_users"),
    ("members_put_member",): ("manage_users",),
    ("members_delete_member",): ("manage_users",),
    ("members_delete_member", "withdraw_changes"): ("manage_users",),
    ("members_put_settings",): ("manage_settings",),
    ("mirror_recompute_rollup",): ("manage_settings",),
    ("views_put_own",): ("read",),
    ("views_delete_own",): ("read",),
    ("views_put_shared",): ("save_draft",),
    ("views_delete_shared",): ("save_draft",),
    ("revoke_tokens",): ("member", "manage_users"),
    ("end_tokens",): ("member", "manage_users"),
    ("audit_write",): ("member", "save_draft", "sync"),
    ("deny",): ("member", "read"),
}  # fmt: skip


@dataclass(frozen=True)
class Modification:
    """A modification that is there, and the mirror's value of its field."""

    modification_id: str
    user_id: str
    pfa_id: str
    session_id: str
    state: str
    version: int
    delta: dict[str, Any]
    base: dict[str, Any]
    conflict_id: str | None
    mirror_version: int
    model: Any


class Fitting:
    """Draws values for one transaction: its run, its direction and its modifications are the same throughout."""

    def __init__(self, place: Place, draw: random.Random) -> None:
        self.random = draw
        self.modifications = [
            Modification(*row)
            for row in place.rows(
                "SELECT m.modification_id::text, m.user_id, m.pfa_id, m.session_id, m.state, m.version, m.delta,"
                " m.base, c.conflict_id::text, r.version, r.data -> 'model'"
                " FROM pfa_modification AS m JOIN pfa_mirror AS r USING (organization_id, pfa_id)"
                " LEFT JOIN pfa_sync_conflict AS c USING (organization_id, modification_id)"
                " WHERE organization_id = 'ORG' ORDER BY m.user_id, m.pfa_id"
            )
        ]
        self.attackers = place.attackers
        self.begin(place.attackers[0], "member")

    def begin(self, attacker: Attacker, scope: str) -> None:
        """Begin another transaction."""
        self.attacker, self.scope = attacker, scope
        self.run_id = str(self.new_id())
        known = [one for one in self.modifications if self._concerns(one)] or self.modifications
        self.chosen = self.random.choice(known)

    def _concerns(self, one: Modification) -> bool:
        if self.scope == "sync":
            return one.state == "committed"
        if self.scope == "manage_users":
            return one.state == "conflict"
        return one.user_id == self.attacker.user_id

    def new_id(self) -> uuid.UUID:
        return uuid.UUID(int=self.random.getrandbits(128))

    def value(self, name: str, kind: str) -> Any:
        """Draw a value for a parameter."""
        pick = self.random.choice
        own = self.attacker.user_id
        if kind == "jsonb":
            if name in ("counts", "before", "after"):
                return Jsonb(pick(({}, {"total": 1}, {"synced": -1})))
            if name == "content":
                return Jsonb(
                    pick(({"filters": {"where": "x"}}, {"sort": "pfaId"}, {"x": [[[1]]]}, []))
                )
            return Jsonb([self.row(name)])
        named: dict[str, Any] = {
            "organization": "ORG",
            "organization_id": "ORG",
            "user_id": self.chosen.user_id if self.scope == "manage_users" else own,
            "member": pick(("ben", "vic", own)),
            "subject": pick(("ben", own, None)),
            "token": pick(self.attackers).token,
            "scope": pick(SCOPES),
            "action": pick(("token_refresh", "token_refresh", "begin", "push", "repair", "permission_denied")),
            "name": pick(("own", "common", "new")) if self.scope in ("read", "save_draft")
                    else "push" if self.scope == "sync" else "pull",
            "direction": "push" if self.scope == "sync" else "pull",
            "kind": "full",
            "source": pick(("psql", "http://127.0.0.1:1")),
            "status": pick(("running", "completed", "failed")),
            "role": pick(("viewer", "editor", "admin")),
            "rights": self._rights(),
            "users": [own],
            "ids": [self.chosen.pfa_id],
            "modification_ids": [self.chosen.modification_id],
            "run_id": self.run_id,
            "owner_id": self.run_id,
            "gone": None,
            "entry": str(self.new_id()),
            "until": "2999-01-01",
            "too_late": "infinity",
            "since": None,
            "finished_at": pick((None, "2026-01-01", "2099-01-01")),
            "started_at": pick(("2026-01-01", "2099-01-01")),
            "began_at": "2026-01-01",
            "at": "2026-01-01",
            "message": pick((None, "done")),
            "currency": pick(("EUR", "USD")),
            "rate_uom": pick(("week", "month")),
            "foreign_currency": "exclude",
            "max_records": pick((None, 1)),
            "max_money": pick((None, 1)),
            "max_percent": None,
            "first_digits": self.new_id().hex[:24],
            "first": "P-1",
            "last": "P-9",
            "host": "h",
            "last_id": "P-9",
        }  # fmt: skip
        typed = {
            "boolean": pick((True, False)),
            "integer": pick((0, 1, 8)),
            "uuid": str(self.new_id()),
            "text": "x",
            "text[]": [self.chosen.pfa_id],
            "uuid[]": [self.chosen.modification_id],
            "timestamp with time zone": "2026-01-01",
        }
        return named[name] if name in named else typed.get(kind)

    def _rights(self) -> list[str]:
        held = sorted(self.attacker.rights)
        return sorted({"read", *self.random.sample(held, k=min(len(held), 3))})

    def row(self, name: str) -> dict[str, Any]:
        """Draw a row of a statement over rows: every name that any of them reads."""
        pick, one = self.random.choice, self.chosen
        new = name == "drafts" and self.random.random() < 0.4
        delta = pick(
            (one.delta, one.delta, {"model": "BENT"}, {"monthlyRate": 5}, {"source": "Zzz"})
        )
        if self.scope == "commit" or name == "disputes":
            delta = pick((one.delta, one.delta, one.delta, {"model": "BENT"}))
        if name == "entries":
            about = pick((None, None, one.modification_id))
            return {
                "entry_id": str(self.new_id()),
                "modification_id": about,
                "after": pick((None, {"x": 1})),
            }
        field = next(iter(one.delta), "model")
        shown = {"base": one.base.get(field), "mine": one.delta.get(field), "pems": one.model}
        return {
            "modification_id": str(self.new_id()) if new else one.modification_id,
            "conflict_id": one.conflict_id or str(self.new_id()),
            "outcome_id": str(self.new_id()),
            "pfa_id": pick(("P-5", "P-6", "P-7")) if new else one.pfa_id,
            "user_id": one.user_id,
            "session_id": pick(("drafts", "bent")),
            "delta": delta,
            "base": one.base if delta == one.delta else dict.fromkeys(delta),
            "base_version": one.mirror_version,
            "version": one.version,
            "rebased": pick(({}, {}, {field: "of PEMS"}, {"monthlyRate": 5})),
            "fields": [{"field": field, **shown}],
            "sent_version": pick((None, "1")),
            "sent_fields": pick((None, [field])),
            "generation": pick((0, 1)),
            "failures": pick((0, 1)),
            "next_attempt_at": pick((None, "2026-12-01", "2099-01-01")),
            "message": "m",
            "change_reason": pick((None, "because")),
            "resolution": pick(("mine", "pems", "merged")),
            "settlement": {field: {"take": "mine", "value": 1}},
            "outcome": pick(("synced", "conflict", "rejected")),
            "code": "",
            "position": "",
            "number": 1,
            "attempt": 1,
            "revision": "2",
            "known": 1,
        }  # fmt: skip

    def incoming(self) -> tuple[str, str]:
        """Draw a record that a transaction receives: its id, and what it is."""
        pfa_id = self.chosen.pfa_id if self.scope == "sync" else self.random.choice(("P-5", "P-9"))
        model = self.random.choice(("received", None, 5, ["x"]))
        return pfa_id, json.dumps({"pfaId": pfa_id, "model": model, "source": "Rental"})
