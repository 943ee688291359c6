"""The end of a history: faults gone, stopped processes awake, pushes until nothing is left to send."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.pems_server import ORG
from tests.trials.driver import Driver
from tests.trials.known import Violation
from tests.trials.place import ANYONE
from tests.trials.steps import Act, Kind, Turn

_ROUNDS = 30
_LIFETIME = 31.0  # seconds after which the lease of a run that is gone is free, by the promise


def make_calm(driver: Driver) -> None:
    """Bring everything to rest.

    Raises:
        Violation: It does not come to rest.
    """
    driver.processes.wake_all()
    driver.place.free()
    driver.set_pems_faults([])
    before = None
    for _ in range(_ROUNDS):
        _let_time_pass(driver)
        _push(driver, Kind.PUSH)
        now = _states(driver)
        if now == before:
            if not _retry(driver):
                _push(driver, Kind.PULL)
                return
            now = None
        before = now
    raise Violation(f"the pushes come to no end: {before}")


def _let_time_pass(driver: Driver) -> None:
    """Make due what waits for minutes."""
    driver.place.rows(
        "UPDATE pfa_modification SET next_attempt_at = %s WHERE next_attempt_at IS NOT NULL",
        datetime.now(UTC),
    )


def _states(driver: Driver) -> list[tuple[object, ...]]:
    return driver.place.rows(
        "SELECT modification_id::text, state FROM pfa_modification WHERE state <> 'draft' ORDER BY 1"
    )


def _retry(driver: Driver) -> bool:
    """Send dead letters again, where there are any; whether there were."""
    dead = driver.place.rows(
        "SELECT FROM pfa_modification WHERE state = 'sync_error' AND next_attempt_at IS NULL"
    )
    if dead:
        _push(driver, Kind.RETRY)
    return bool(dead)


def _holder(driver: Driver) -> str:
    """The user whose run holds a lease, who may take it over at once where the run is dead; another user waits."""
    rows = driver.place.rows("SELECT owner FROM pfa_lease WHERE organization_id = %s", ORG)
    return str(rows[0][0]) if rows else ANYONE


def _push(driver: Driver, kind: Kind) -> None:
    """Let one run end; a lease of a run that is gone may keep it out for its lifetime."""
    end = time.monotonic() + _LIFETIME + 5
    while True:
        turn = Turn(number=0, actor=_holder(driver), acts=(Act(kind=kind),))
        ran = driver.processes.run(turn)
        if ran.code in (0, 3):
            return
        if ran.code not in (69, 75):
            raise Violation(f"{kind} at rest ended with {ran.code}: {ran.err}")
        left = driver.place.rows(
            "SELECT extract(epoch FROM max(expires_at) - clock_timestamp()) FROM pfa_lease"
            " WHERE organization_id = %s",
            ORG,
        )[0][0]
        if left and left > _LIFETIME:
            raise Violation(f"a lease of a process that is gone ends in {left:.0f} s")
        if time.monotonic() > end:
            raise Violation(f"{kind} at rest is kept out: {ran.err}")
        time.sleep(0.2)
