"""Whole processes: what every run of a cron job pays before it does anything.

Both sides run without the site hooks of this environment, which a user has not: an editable installation and
coverage look at every import.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.million import data
from benchmarks.million.measure import Figure, interleaved
from benchmarks.million.reads import BARE_PAGE
from pfa_core import Database, Right
from pfa_core.store import members
from pfa_core.store.embedded import server

PYTHON = [sys.executable, "-S"]
# What the installed script does.
PFA = [*PYTHON, "-c", "import sys; from pfa_cli.main import main; sys.exit(main())"]
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
SCRIPT = f"""
import sys, psycopg
with psycopg.connect(sys.argv[1]) as conn:
    rows = conn.execute({BARE_PAGE!r}, {{"organization_id": {data.BIG!r}}})
    for row in rows:
        print(*row)
"""


def figures(db: Database, root: Path, rounds: int) -> Iterator[Figure]:
    db.transact(
        lambda conn: members.put_member(
            conn,
            data.BIG,
            getpass.getuser(),
            role="admin",
            rights=list(Right),
            granted_by="",
            at=db.clock(),
        )
    )
    with tempfile.TemporaryDirectory() as home:
        # An installed program has its bytecode, so this one is let write it in the first round.
        own = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
        environ = {
            **own,
            "PFA_EMBEDDED_DIR": str(root),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "PFA_ORG": data.BIG,
        }

        def run(*command: str) -> None:
            subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)

        run(*PFA, "init", "--org", data.BIG)
        for option in ("--version", "--help"):
            own, yardstick = interleaved(
                lambda option=option: run(*PFA, option),
                lambda: run(*PYTHON, "-c", "import typer"),
                rounds * 2,
            )
            yield Figure(f"pfa {option}", "python -c 'import typer'", own, yardstick, 1.5)
        page = [*PFA, "list", "--category", "Mobile Crane", "--page-size", "100", "-o", "jsonl"]
        own, yardstick = interleaved(
            lambda: run(*page),
            lambda: run(*PYTHON, "-c", SCRIPT, server.url(root)),
            rounds * 2,
        )
        yield Figure("pfa list of one page", "a psycopg script", own, yardstick, 1.3)
