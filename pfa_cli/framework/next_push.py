"""The step after a change that waits for a push."""

from __future__ import annotations

from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk


def say_next_push(call: Invocation, talk: Talk, *, suspended: bool, options: str = "") -> None:
    """Name the push, or what has to be before one can be.

    Args:
        suspended: The organization exchanges nothing with PEMS.
        options: Those of the push.
    """
    if not suspended:
        talk.say(f"next: pfa sync push{options}")
        return
    code = call.principal.organization_id
    talk.say(f"{code} is suspended: what is committed waits, nothing is exchanged with PEMS")
    talk.hint(f"where it goes on nowhere else, an admin types: pfa org reopen {code} --reason TEXT")
