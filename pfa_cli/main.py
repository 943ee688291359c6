"""Where the process begins: an interrupt is quiet even while the program is still being loaded."""

from __future__ import annotations

from pfa_cli.exit_codes import INTERRUPTED


def main() -> int:
    """Load the program and run it; the exit code."""
    try:
        from pfa_cli.app import main as run

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED
