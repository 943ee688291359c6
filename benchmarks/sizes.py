"""Peaks of memory of commands over many records: of the client, and of its process in the server.

    python -m benchmarks.sizes [--records 25000,50000,300000] [--stage drafts,sessions,texts] [--only TEXT]
                               [--json FILE]

Of three stages: `drafts` has every record drafted in one session, and a dozen entries of the audit trail for each;
`sessions` 5,000 sessions of one draft; `texts` 2,800 drafts of 100,000 characters each, 280 MB in one save. Each
command is a process of its own against an embedded server in a temporary directory; the client's peak is its
largest resident set, the server's the largest anonymous memory of the processes that serve clients, looked at
50 times a second (what they share is not counted). Ends with 1 when a command needs more than 200 MB in the
client or 400 MB in the server.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.million import data
from pfa_core.store.embedded import server

ORG = "ORG"
CLIENT_MB, SERVER_MB = 200, 400
_LOOK_SECONDS = 0.02
# Starts a command and writes its peak in kB. A process begins with the peak of the one that started it, which
# may be large; this one is small.
_MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
SESSIONS, TEXTS, TEXT_LENGTH = 5_000, 2_800, 100_000
# In this order: each finds what those before it left.
COMMANDS: Mapping[str, str] = {
    "pull": "sync pull --from mirror.jsonl",
    "list -o table": "list --all -o table",
    "list -o csv": "list -o csv",
    "list --to csv": "list --to all.csv",
    "list --to xlsx": "list --to all.xlsx",
    "draft save": "draft save delta.jsonl --session s",
    "draft save, CSV": "draft save delta.csv --session s",
    "draft list": "draft list -o csv",
    "diff -o csv": "diff -o csv",
    "diff -o json": "diff -o json",
    "draft set": "draft set --all manufacturer=Other --into s",
    "draft shift": "draft shift 3 --all --move --into s",
    "draft unset": "draft unset --all manufacturer",
    "commit": "commit --session s",
    "uncommit": "uncommit --session s",
    "discard": "discard --session s",
    "restore": "restore --session s",
    "discard again": "discard --session s",
    "restore -o json": "restore --session s -o json",
    "status": "status",
    "stats": "stats",
    "log": "log --limit 100000 -o csv",
    "log -o json": "log --limit 100000 -o json",
    "log verify": "log verify",
    "db verify": "db verify",
}
OF_SESSIONS: Mapping[str, str] = {
    "status": "status",
    "status -o json": "status -o json",
    "draft list": "draft list -o csv",
    "diff": "diff -o table",
    "commit": "commit --all",
    "push -n": "sync push -n -o json",
    "uncommit": "uncommit --all",
    "log": "log --limit 100000 -o csv",
    "log verify": "log verify",
    "discard": "discard --all",
}
OF_TEXTS: Mapping[str, str] = {
    "draft save": "draft save texts.jsonl --session t",
    "draft list": "draft list -o csv",
    "list -o csv": "list -o csv",
    "diff -o csv": "diff -o csv",
    "diff -o json": "diff -o json",
    "draft set": "draft set --all manufacturer=Other --into t",
    "commit": "commit --session t",
    "push -n": "sync push -n -o csv",
    "uncommit": "uncommit --session t",
    "discard": "discard --session t",
    "restore": "restore --session t",
    "log": "log --limit 100000 -o csv",
    "db verify": "db verify",
}
# Thousands of commands in one process: it is their sessions that are wanted, not their memory.
_MAKE_SESSIONS = """
import sys
from pfa_cli.app import main
for number, line in enumerate(open(sys.argv[1])):
    assert main(["draft", "set", line.strip(), "model=NEW", "--into", f"s-{number}"]) == 0
"""


@dataclass(frozen=True)
class Peak:
    """What one command needed at one size: megabytes of client and server, seconds."""

    name: str
    records: int
    client: float
    server: float
    seconds: float

    @property
    def good(self) -> bool:
        return self.client <= CLIENT_MB and self.server <= SERVER_MB


def peaks(
    folder: Path, records: int, only: str = "", commands: Mapping[str, str] = COMMANDS
) -> Iterator[Peak]:
    """The peaks of commands at one size; of those whose name holds `only`, which still need the others."""
    write_inputs(folder, records)
    with Stage(folder) as stage:
        yield from stage.peaks(commands, records, only)


def peaks_of_sessions(folder: Path, only: str = "") -> Iterator[Peak]:
    """The peaks of commands over 5,000 sessions of one draft."""
    write_inputs(folder, SESSIONS)
    ids = [record["pfaId"] for record in data.records(ORG, SESSIONS)]
    (folder / "ids").write_text("\n".join(ids) + "\n")
    with Stage(folder) as stage:
        stage.run(COMMANDS["pull"].split())
        stage.python("-c", _MAKE_SESSIONS, "ids")
        yield from stage.peaks(OF_SESSIONS, SESSIONS, only, "sessions: ")


def peaks_of_texts(folder: Path, only: str = "") -> Iterator[Peak]:
    """The peaks of commands over 280 MB of drafts."""
    write_inputs(folder, TEXTS)
    chance = random.Random(1)
    with (folder / "texts.jsonl").open("w") as file:
        for record in data.records(ORG, TEXTS):
            text = b64encode(chance.randbytes(TEXT_LENGTH * 3 // 4)).decode()
            change = {"pfaId": record["pfaId"], "delta": {"equipment": text}}
            file.write(json.dumps(change) + "\n")
    with Stage(folder) as stage:
        stage.run(COMMANDS["pull"].split())
        yield from stage.peaks(OF_TEXTS, TEXTS, only, "texts: ")


@dataclass
class Stage:
    """An organization on an embedded server in a directory, which is stopped at the end."""

    folder: Path

    def __enter__(self) -> Stage:
        """Start the server, make the organization."""
        self.root = self.folder / "server"
        self.environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith("PFA_")},
            "PFA_EMBEDDED_DIR": str(self.root),
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        self.run(["init", "--org", ORG])
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        with suppress(Exception):
            server.stop(self.root)

    def peaks(
        self, commands: Mapping[str, str], records: int, only: str, before: str = ""
    ) -> Iterator[Peak]:
        """The peaks of some commands, one after the other."""
        for name, words in commands.items():
            client, behind, seconds = self.run(words.split())
            if only in before + name:
                yield Peak(before + name, records, client, behind, seconds)

    def run(self, words: Sequence[str]) -> tuple[float, float, float]:
        """Run a command; return the peaks of client and server in MB, and its seconds."""
        return self.python("-m", "pfa_cli", *words)

    def python(self, *words: str) -> tuple[float, float, float]:
        """Run a Python program, as `run` does a command."""
        began = time.perf_counter()
        with (self.folder / "stderr").open("w+") as errors, watched(self.root) as seen:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _MEASURED,
                    str(self.folder / "peak"),
                    sys.executable,
                    *words,
                ],
                cwd=self.folder,
                env=dict(self.environ),
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
            process.wait()
            seconds = time.perf_counter() - began
            errors.seek(0)
            said = errors.read()
        if process.returncode:
            raise SystemExit(f"python {' '.join(words)}: {process.returncode}\n{said}")
        peak = int((self.folder / "peak").read_text())
        return peak / 1024, max(seen, default=0.0), seconds


def write_inputs(folder: Path, records: int) -> None:
    """A mirror whose dates can be shifted, and a change of two fields of each record."""
    with (
        (folder / "mirror.jsonl").open("w") as mirror,
        (folder / "delta.jsonl").open("w") as delta,
        (folder / "delta.csv").open("w") as table,
    ):
        table.write("pfaId,model\n")
        for item in data.records(ORG, records):
            item |= {"isActualized": False, "actualStart": None, "actualEnd": None}
            mirror.write(json.dumps(item) + "\n")
            changed = {"model": "NEW", "monthlyRate": (item["monthlyRate"] or 0) + 1}
            delta.write(json.dumps({"pfaId": item["pfaId"], "delta": changed}) + "\n")
            table.write(f"{item['pfaId']},NEWER\n")


@contextmanager
def watched(root: Path) -> Iterator[list[float]]:
    """The largest anonymous memory of the server's processes for clients within the block, in MB."""
    seen: list[float] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_SECONDS):
            pid = server.status(root).pid
            if pid is not None:
                seen[:] = [max([*seen, *map(_anonymous, _serving(pid))], default=0.0)]

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _serving(pid: int) -> list[int]:
    """The server's processes that serve clients: their titles name a user and a database."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if "[local]" in _title(child)]
    return []


def _title(pid: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
    return ""


def _anonymous(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", default="25000,50000,300000")
    parser.add_argument("--stage", default="drafts,sessions,texts")
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    only = asked.only
    sizes = map(int, asked.records.split(","))
    stages: dict[str, list[Callable[[Path], Iterator[Peak]]]] = {
        "drafts": [partial(peaks, records=records, only=only) for records in sizes],
        "sessions": [partial(peaks_of_sessions, only=only)],
        "texts": [partial(peaks_of_texts, only=only)],
    }
    found: list[Peak] = []
    print(f"{'command':<24} {'records':>9} {'client MB':>10} {'server MB':>10} {'seconds':>9}")
    for work in (work for name in asked.stage.split(",") for work in stages[name]):
        with tempfile.TemporaryDirectory(prefix="pfa-sizes-") as folder:
            os.chmod(folder, 0o755)  # as root the server runs under another user
            for peak in work(Path(folder)):
                found.append(peak)
                print(
                    f"{peak.name:<24} {peak.records:>9,} {peak.client:>10.0f} {peak.server:>10.0f}"
                    f" {peak.seconds:>9.1f}{'' if peak.good else '  MISSED'}",
                    flush=True,
                )
    if asked.json:
        asked.json.write_text(json.dumps([asdict(item) | {"good": item.good} for item in found]))
    return 0 if all(item.good for item in found) else 1


if __name__ == "__main__":
    sys.exit(main())
