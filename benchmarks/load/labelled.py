"""The program as its installed script runs it, with sessions of the server that say whose they are.

The name in LOAD_LABEL, an organization and a kind of call, takes the place of the program's own; one in the address
goes before it.
"""

from __future__ import annotations

import os
from inspect import getattr_static
from typing import Any

VARIABLE = "LOAD_LABEL"


def name_sessions(label: str) -> None:
    """Let each connection that this process opens from now on have that name, or that of its address."""
    from psycopg.conninfo import conninfo_to_dict

    from pfa_core.store.silence import WatchedConnection

    connect = getattr_static(WatchedConnection, "connect").__func__

    def connect_named(cls: type[Any], conninfo: str = "", **words: Any) -> Any:
        name = conninfo_to_dict(conninfo).get("application_name") or label
        return connect(cls, conninfo, **{**words, "application_name": name})

    # Patched, since a subclass is not what the program opens; a mock would add its import to each start measured.
    WatchedConnection.connect = classmethod(connect_named)  # type: ignore[method-assign,assignment]


def main() -> int:
    from pfa_cli.main import main as run

    label = os.environ.get(VARIABLE)
    if label:
        name_sessions(label)
    return run()
