"""Checks of the setup as a page: result, finding, cure of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Look
from pfa_cli.render.palette import HEADER, STATES

if TYPE_CHECKING:
    from pfa_cli.render.terminal import Line

_MARK = 9  # cells for the longest result
_UNDER = " " * (_MARK + len("fix: "))
_TYPE = "type: "


class Check(Protocol):
    """One check: `exit_code` is 0 unless it found a problem."""

    @property
    def check(self) -> str:
        """What is checked."""
        ...

    @property
    def result(self) -> str:
        """One of ok, notice, problem, skipped."""
        ...

    @property
    def finding(self) -> str:
        """What was found."""
        ...

    @property
    def cure(self) -> str:
        """What to do about it; empty where nothing is to be done."""
        ...


def checks_text(checks: Sequence[Check], look: Look) -> str:
    """Format the checks; on a terminal in a frame, above the first cure to type."""
    if not look.is_drawn:
        return "\n".join(map(_text, checks))
    from pfa_cli.render import drawn
    from pfa_cli.render.tables import next_step

    cells = drawn.inner(look)
    name = max(drawn.measure(item.check) for item in checks)
    lines = [line for item in checks for line in _lines(item, name, cells)]
    results = [item.result for item in checks]
    worst = next((result for result in ("problem", "notice") if result in results), "ok")
    title = {"problem": "not ready", "notice": "ready, with notices", "ok": "ready"}[worst]
    page = drawn.panel(title, lines, look, STATES[worst])
    step = _next(checks, worst)
    return f"{page}\n\n{next_step(step, look)}" if step else page


def _text(item: Check) -> str:
    first, *more = _cure(item)
    lines = [f"{' ' * _MARK}fix: {first}" if first else "", *(f"{_UNDER}{line}" for line in more)]
    return "\n".join(
        [f"{item.result:<{_MARK}}{item.check}: {visible(item.finding)}", *filter(None, lines)]
    )


def _cure(item: Check) -> list[str]:
    """Split the cure, which may quote the end of a log, into its lines."""
    return [visible(line) for line in item.cure.split("\n")]


def _lines(item: Check, name: int, cells: int) -> list[Line]:
    from pfa_cli.render import drawn

    before: Line = [
        (f"{item.result:<{_MARK}}", STATES.get(item.result, "")),
        (f"{item.check:<{name}}  ", ""),
    ]
    lines = drawn.hanging(before, (visible(item.finding), ""), cells)
    first, *more = _cure(item)
    if first:
        lines += drawn.hanging([(" " * _MARK + "fix: ", "")], (first, HEADER), cells)
    for line in more:
        lines += drawn.hanging([(_UNDER, "")], (line, ""), cells)
    return lines


def _next(checks: Sequence[Check], worst: str) -> str:
    """Return the first cure of the worst kind that is a command."""
    cures = (item.cure for item in checks if item.result == worst and item.cure.startswith(_TYPE))
    return next((cure.removeprefix(_TYPE).partition(", or ")[0] for cure in cures), "")
