"""Entry point of the process.

An interrupt is quiet even while the program is still being loaded.
"""

from __future__ import annotations

import sys

from pfa_cli.exit_codes import INTERRUPTED


def main() -> int:
    """Load the program, run it and return its exit code."""
    try:
        if sys.argv[1:2] == ["__complete"]:
            from pfa_cli.completion.answer import main as complete

            return complete(sys.argv[2:])
        from pfa_cli.app import main as run

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED
