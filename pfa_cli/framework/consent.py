"""Questions before a write, where a person can answer them."""

from __future__ import annotations

import os
import sys

from pfa_cli.framework.invocation import Invocation
from pfa_cli.render import streams
from pfa_cli.render.escape import visible
from pfa_core.config.settings import Flags, protected_profile
from pfa_core.errors import InvalidRequest


def is_asked() -> bool:
    """Tell whether question and answer have a terminal."""
    return streams.is_terminal(sys.stdin) and streams.is_terminal(sys.stderr)


def confirmed(question: str) -> bool:
    """Ask on the terminal; only a yes is one."""
    streams.ask(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def may_write(call: Invocation, command: str, *, profile: str | None = None) -> bool:
    """Return whether a write may go on: in a protected profile, if the user says so.

    Args:
        profile: The profile that is changed, where it is not the one of the command line.

    Raises:
        InvalidRequest: The profile is protected, there is no terminal to ask on, and --yes is not given.
    """
    flags = Flags(profile=profile) if profile else call.flags
    found = protected_profile(flags, os.environ, stored=call.is_attended)
    if found is None or call.common.yes:
        return True
    if not is_asked():
        raise InvalidRequest(
            f"profile {found} is protected; nothing was changed",
            hint=f"to change it type: {command} … --yes, or -n to see what would change",
        )
    return confirmed(visible(f"profile {found} is protected; {command} changes it. Go on?"))
