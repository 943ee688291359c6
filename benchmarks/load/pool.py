"""Many connections through PgBouncer in transaction mode, each of a thread that does one call after the other."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

from psycopg.conninfo import make_conninfo

import pfa_core
from benchmarks.load import labelled
from benchmarks.load.commands import KINDS
from benchmarks.load.outcomes import Ran, ended
from benchmarks.load.site import Site, delta, session
from pfa_core import Change, Database, Filters, Principal, Query, Selection, Settings
from pfa_core.errors import PfaError
from pfa_core.store.embedded import server

PROCESSES = 8  # that the threads are spread over: of one alone it would be Python that is measured
_CRANES = Query(filters=Filters(category=("Mobile Crane",)))


@dataclass(frozen=True)
class Client:
    """One thread: its handle, who it is, and what it works on."""

    site: Site
    number: int
    db: Database
    who: Principal
    settings: Settings

    @property
    def selection(self) -> Selection:
        return Selection(session_id=session(self.number))

    def save(self, turn: int) -> object:
        content = delta(self.number, self.site.ids(self.number), turn)
        changes = [Change(one["pfaId"], one["delta"]) for one in content["modifications"]]
        return pfa_core.save(self.db, self.who, changes, session_id=session(self.number))

    def pull(self, turn: int) -> object:
        path = self.site.part(self.who.organization_id, turn)
        return pfa_core.pull_files(self.db, self.who, [str(path)])

    def push(self, _: int) -> object:
        code = self.who.organization_id
        profile = pfa_core.pems_profile(self.settings, code, self.site.environ(code))
        return pfa_core.push_changes(self.db, self.who, profile)

    def export(self, _: int) -> object:
        return pfa_core.export_jsonl(self.db, self.who, Query(), len)


CALLS: Mapping[str, Callable[[Client, int], object]] = {
    "list": lambda client, _: pfa_core.list_records(client.db, client.who, _CRANES),
    "stats": lambda client, _: pfa_core.compute_stats(
        client.db, client.who, Filters(), by=["category"]
    ),
    "status": lambda client, _: pfa_core.status(client.db, client.who),
    "save": Client.save,
    "commit": lambda client, _: pfa_core.commit(client.db, client.who, client.selection),
    "discard": lambda client, _: pfa_core.discard(client.db, client.who, client.selection),
    "pull": Client.pull,
    "push": Client.push,
    "export": Client.export,
    "runs": lambda client, _: pfa_core.list_runs(client.db, client.who),
}


def crowd(site: Site, address: str, clients: int, seconds: float) -> list[Ran]:
    """So many clients of an address at once, until the time is over."""
    processes = min(PROCESSES, clients)
    parts = [list(range(clients))[place::processes] for place in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as workers:
        done = workers.map(partial(_work, site, address, seconds), parts)
        return [call for calls in done for call in calls]


@contextmanager
def pooled(site: Site, clients: int, sessions: int) -> Iterator[str]:
    """The address of a PgBouncer before the site's server, for so many clients, with so many of its sessions."""
    from tests.pooler import a_pooler

    address = server.url(site.root).replace("//pfa@", "//pfa_app@")
    # A pull or push has a second connection for its heartbeat.
    most = clients + 4 * site.organizations
    with a_pooler(address, size=sessions, clients=most) as pooler:
        yield pooler.url(address)


def _work(site: Site, address: str, seconds: float, numbers: list[int]) -> list[Ran]:
    """The clients of one process."""
    gate, found = threading.Barrier(len(numbers)), list[list[Ran]]()
    labelled.name_sessions("pool")

    def run(number: int) -> None:
        own = list[Ran]()
        found.append(own)
        try:
            with _client(site, address, number) as client:
                gate.wait()
                own.extend(_calls(client, time.monotonic() + seconds))
        except Exception as error:
            gate.abort()
            own.append(Ran("connect", 0, 1, f"{type(error).__name__}: {error}"))

    threads = [threading.Thread(target=run, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [call for calls in found for call in calls]


@contextmanager
def _client(site: Site, address: str, number: int) -> Iterator[Client]:
    code = site.codes[number % site.organizations]
    settings = site.settings(code, 1 + number % site.people)
    who = pfa_core.authenticate(settings)
    with Database(make_conninfo(address, application_name=f"{code} ")) as db:
        db.connection()
        yield Client(site, number, db, who, settings)


def _calls(client: Client, until: float) -> Iterator[Ran]:
    chance, turn = random.Random(client.number), 0
    often = [KINDS[kind].often if kind in KINDS else 1 for kind in CALLS]
    while time.monotonic() < until:
        turn += 1
        kind = chance.choices(list(CALLS), often)[0]
        begun = time.perf_counter()
        code, said = _outcome(partial(CALLS[kind], client, turn))
        taken = time.perf_counter() - begun
        yield ended(kind, taken, code, KINDS[kind].expected if kind in KINDS else (0,), said)


def _outcome(call: Callable[[], object]) -> tuple[int, str]:
    try:
        call()
    except PfaError as error:
        return error.exit_code, f"{error.code}: {error.message} ({error.hint}): {_causes(error)}"
    except Exception as error:
        return 1, f"{type(error).__name__}: {error}"
    return 0, ""


def _causes(error: BaseException | None) -> Any:
    found = []
    while error is not None and (error := error.__cause__) is not None:
        found.append(f"{type(error).__name__}: {error}")
    return " < ".join(found)
