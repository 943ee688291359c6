"""What is worked on: an embedded server, organizations with people and records, and a PEMS for each."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pfa_core
from benchmarks.exchange import sandbox_process
from benchmarks.load import labelled
from benchmarks.load.waits import running
from benchmarks.million import data
from pfa_core import Settings
from pfa_core.store.embedded import server

# As an installed program starts: without the hooks of this environment.
PFA = [sys.executable, "-S", "-c"]
PFA += ["import sys; from benchmarks.load.labelled import main; sys.exit(main())"]
PULLED = 200  # records of an organization that files change; people draft over the others
OF_ONE = 10  # records that one job drafts over
_KEPT_OUT = ("PFA_", "XDG_", "PG", "DATABASE_URL", "PYTHONDONTWRITEBYTECODE")


@dataclass
class Site:
    """A folder with an embedded server and files of organizations.

    Everything is done by one OS user, as by the jobs of a crontab: the program's first user makes the
    organizations, the others have tokens of their own.
    """

    folder: Path
    organizations: int
    records: int
    people: int
    pems: dict[str, str] = field(default_factory=dict)
    pems_pids: list[int] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The directory of the embedded server."""
        return self.folder / "server"

    @property
    def codes(self) -> list[str]:
        """The organizations' codes."""
        return [f"LOAD{number:02}" for number in range(1, self.organizations + 1)]

    def environ(self, code: str, person: int = 0, kind: str = "") -> dict[str, str]:
        """The variables of a process: the organization, the token and what its sessions are called."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_KEPT_OUT)}
        found = {
            **kept,
            "PFA_EMBEDDED_DIR": str(self.root),
            "PFA_ORG": code,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            labelled.VARIABLE: f"{code} {kind}",
        }
        if person:
            found["PFA_TOKEN_FILE"] = str(self.token(code, person))
        if code in self.pems:
            found["PFA_PEMS_URL"] = self.pems[code]
        return found

    def settings(self, code: str, person: int = 0) -> Settings:
        """The settings of such a process."""
        return pfa_core.resolve(environ=self.environ(code, person))

    def token(self, code: str, person: int) -> Path:
        """The file of a person's token."""
        return self.folder / f"{code}-{person}.token"

    def file(self, code: str, *, changed: bool = False) -> Path:
        """The organization's records; or those that files change, as they are after a change."""
        name = f"{code}.changed.jsonl" if changed else f"{code}.jsonl"
        return self.folder / name

    def ids(self, job: int) -> list[str]:
        """The records that one job drafts over; those of two jobs are different ones."""
        code, place = self.codes[job % self.organizations], job // self.organizations
        first = 1 + place * OF_ONE % max(1, self.records - PULLED - OF_ONE)
        return [f"{code}-{number:07}" for number in range(first, first + OF_ONE)]

    def write(self) -> None:
        """Write the organizations' files."""
        for code in self.codes:
            path = data.write(self.file(code), code, self.records)
            last = path.read_text("utf-8").splitlines()[-PULLED:]
            with self.file(code, changed=True).open("w", encoding="utf-8") as out:
                for line in last:
                    item = json.loads(line)
                    item["model"] = "CHANGED"
                    out.write(json.dumps(item, ensure_ascii=False) + "\n")
            path.with_suffix(".part.jsonl").write_text("\n".join(last) + "\n", "utf-8")

    def part(self, code: str, number: int) -> Path:
        """A file of the records that files change: as they were, or as they are after a change."""
        if number % 2:
            return self.file(code, changed=True)
        return self.file(code).with_suffix(".part.jsonl")

    def enter(self, *, filled: Sequence[str] | None = None) -> None:
        """Make organizations, people with tokens, and records; these only of some, where they are named."""
        for code in self.codes:
            settings = self.settings(code)
            with pfa_core.open_database(settings) as db:
                pfa_core.initialize(db, settings, code)
                settings = self.settings(code)
                principal = pfa_core.authenticate(settings)
                for person in range(1, self.people + 1):
                    name = f"person-{person}"
                    pfa_core.grant(db, principal, name, "admin")
                    issued = pfa_core.issue_token(db, settings, principal, user_id=name)
                    path = self.token(code, person)
                    path.touch(mode=0o600)
                    path.write_text(issued.token)
                if filled is None or code in filled:
                    pfa_core.pull_files(db, principal, [str(self.file(code))])

    def stop(self) -> None:
        """Stop the server."""
        with suppress(Exception):
            server.stop(self.root)

    def kill(self) -> None:
        """Kill the server, as the kernel does that is out of memory."""
        pid = running(self.root)
        if pid:
            os.kill(pid, signal.SIGKILL)

    @contextmanager
    def with_pems(self) -> Iterator[None]:
        """A PEMS for each organization within the block."""
        with ExitStack() as stack:
            for code in self.codes:
                started = sandbox_process(self.file(code), organization=code)
                self.pems[code], pid = stack.enter_context(started)
                self.pems_pids.append(pid)
            yield
        self.pems.clear()
        self.pems_pids.clear()


@contextmanager
def opened(folder: Path, *, organizations: int, records: int, people: int) -> Iterator[Site]:
    """A site in a folder that the server's user can reach, with its files; its server is stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    site = Site(folder, organizations, records, people)
    site.write()
    try:
        yield site
    finally:
        site.stop()


def delta(job: int, ids: list[str], number: int) -> Mapping[str, Any]:
    """A delta file's content: another value each time."""
    return {
        "sessionId": session(job),
        "modifications": [
            {"pfaId": one, "delta": {"equipment": f"E-{job}-{number}", "model": f"M{number}"}}
            for one in ids
        ],
    }


def session(job: int) -> str:
    """The session of a job's drafts."""
    return f"job-{job}"
