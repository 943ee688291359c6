"""A newer program, in a process of its own: it has more migrations, upgrades a database, and may be killed at it.

    python -m tests.faults.upgrader MIGRATIONS [NUMBER WHEN]

MIGRATIONS is a file with number, name and text of each; PFA_DATABASE_URL names the database. With a number the
process kills itself before or after that statement, BEGIN and COMMIT counted too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from psycopg import Connection

from pfa_cli.app import main
from pfa_core import sql
from pfa_core.store import migrations


def bring(file: str) -> None:
    """Let the program have the migrations of a file."""
    known = [tuple(one) for one in json.loads(Path(file).read_text())]
    mock.patch.object(sql, "migrations", return_value=known).start()
    mock.patch.object(sql, "newest_migration", return_value=known[-1][0]).start()


def kill_at(number: int, when: str) -> None:
    """Kill this process at a statement of the upgrade."""
    seen = 0

    def die(before: bool) -> None:
        if seen == number and before == (when == "before"):
            os.kill(os.getpid(), signal.SIGKILL)

    execute, command = Connection.execute, Connection._exec_command

    def executing(self: Any, *words: Any, **named: Any) -> Any:
        nonlocal seen
        seen += 1
        die(before=True)
        result = execute(self, *words, **named)
        die(before=False)
        return result

    def commanding(self: Any, text: Any, *words: Any, **named: Any) -> Any:
        nonlocal seen
        seen += 1
        die(before=True)
        yield from command(self, text, *words, **named)
        die(before=False)

    upgrade = migrations.upgrade

    def upgrading(*words: Any, **named: Any) -> Any:
        mock.patch.multiple(Connection, execute=executing, _exec_command=commanding).start()
        return upgrade(*words, **named)

    mock.patch.object(migrations, "upgrade", upgrading).start()


if __name__ == "__main__":
    bring(sys.argv[1])
    if sys.argv[2:]:
        kill_at(int(sys.argv[2]), sys.argv[3])
    sys.exit(main(["db", "upgrade", "-o", "json"]))
