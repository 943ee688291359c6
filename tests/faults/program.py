"""The program `pfa`, started as people start it, beside a world and its PEMS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pfa_core
from pfa_core.config.settings import Flags, resolve
from tests.faults import proof
from tests.faults.nursery import REPOSITORY, wait_for
from tests.pems_server import FarSide

SIGNING = "a key of the trials that is long enough to sign"


@dataclass
class Program:
    """`pfa` with a PEMS whose answers take their time, with six committed changes."""

    far: FarSide
    home: Path
    database: str = ""  # another address than the world's
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pfa_cli", *words],
            cwd=self.home, env=self._environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.running.append(process)
        return process

    def end_when_applied(self, process: subprocess.Popen[str], *numbers: int) -> tuple[int, str]:
        """Send signals as soon as PEMS has applied something; the exit code and what it said."""
        wait_for(lambda: bool(self.far.applied()), "nothing was applied")
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.02)
        out, err = process.communicate(timeout=30)
        proof.require_secrecy(self.far, out, err, arguments, (self.home / "runs.log").read_text())
        return process.returncode, err

    def _environment(self) -> dict[str, str]:
        settings = resolve(Flags(), {"PFA_JWT_SECRET": SIGNING, "HOME": str(self.home)})
        token = pfa_core.issue_token(self.far.db, settings, self.far.ann, user_id="ann").token
        password = self.home / "password"
        password.write_text(proof.CANARY)
        password.chmod(0o600)
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(self.home),
            "PFA_ORG": "ORG",
            "PFA_TOKEN": token,
            "PFA_JWT_SECRET": SIGNING,
            "PFA_DATABASE_URL": self.database or str(self.far.db.conninfo),
            "PFA_PEMS_URL": self.far.pems.url,
            "PFA_PEMS_USERNAME": proof.USERNAME,
            "PFA_PEMS_PASSWORD_FILE": str(password),
            "PFA_LOG_FILE": str(self.home / "runs.log"),
        }
