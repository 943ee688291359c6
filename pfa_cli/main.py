"""Entry point of the process.

An interrupt is quiet even while the program is still being loaded.
"""

from __future__ import annotations

import gc
import sys

from pfa_cli.exit_codes import INTERRUPTED

# A list makes forty thousand objects that live to its end; by Python's own limit of 700 new ones they are searched
# for cycles a hundred times. Rows and results form none, so that a search seldom finds something.
_NEW_OBJECTS = 50_000


def main() -> int:
    """Load the program, run it and return its exit code."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        return _run()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        # Before it ends the interpreter searches all objects again, more than once: a sixth of a short command.
        gc.freeze()


def _run() -> int:
    if sys.argv[1:2] == ["__complete"]:
        from pfa_cli.completion.answer import main as complete

        return complete(sys.argv[2:])
    from pfa_cli.app import main as run

    return run()
