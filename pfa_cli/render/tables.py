"""Tables and lists of facts for people: drawn on a terminal, plain elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pfa_cli.render.cells import padded, width
from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.plain import plain

if TYPE_CHECKING:
    from pfa_cli.render.kinds import Column


def lines_of(
    columns: Sequence[str | Column],
    rows: Iterable[Sequence[Any]],
    look: Look,
    *,
    numeric: frozenset[int] = frozenset(),
    ranked: Sequence[str] = (),
    may_drop: bool = True,
) -> Iterator[str]:
    """Format rows as a table of any length, in constant memory.

    Without rows nothing is yielded. On a terminal no line is wider than it and nothing is cut: texts fold, columns
    give way and are noted in the look, or the fields of a row stand one a line.

    Args:
        numeric: Indexes of columns whose cells are texts of numbers; columns of numbers need none.
        ranked: Names of columns from the most to the least important one.
        may_drop: Whether a column may give way.
    """
    if look.is_drawn:
        from pfa_cli.render import drawn

        return drawn.table(columns, rows, look, numeric=numeric, ranked=ranked, may_drop=may_drop)
    from pfa_cli.render import tabulated

    names = [column if isinstance(column, str) else column.name for column in columns]
    return tabulated.table(names, rows, markdown=look.format is Format.MARKDOWN, numeric=numeric)


def grid(
    columns: Sequence[str | Column],
    rows: Sequence[Sequence[Any]],
    look: Look,
    *,
    numeric: frozenset[int] = frozenset(),
    ranked: Sequence[str] = (),
    may_drop: bool = True,
) -> str:
    """Format rows as one text, as `lines_of` does."""
    lines = lines_of(columns, rows, look, numeric=numeric, ranked=ranked, may_drop=may_drop)
    return "\n".join(lines)


def facts(pairs: Sequence[tuple[str, Any]], look: Look) -> str:
    """Format names and values, one pair a line, the values aligned."""
    if look.is_drawn:
        from pfa_cli.render import drawn

        return drawn.facts(pairs, look)
    label = max((width(name) for name, _ in pairs), default=0)
    return "\n".join(
        f"{padded(name, label)}  {visible(plain(value))}".rstrip() for name, value in pairs
    )


def card(title: str, pairs: Sequence[tuple[str, Any]], look: Look) -> str:
    """Format names and values under a title, in a frame on a terminal."""
    if not look.is_drawn:
        return f"{title}\n\n{facts(pairs, look)}"
    from pfa_cli.render import drawn

    spans = [(name, (visible(plain(value)), getattr(value, "style", ""))) for name, value in pairs]
    return drawn.panel(title, drawn.pairs_lines(spans, drawn.inner(look)), look)


def next_step(command: str, look: Look) -> str:
    """Format the command to type next, in a frame on a terminal."""
    if not look.is_drawn:
        return f"next: {visible(command)}"
    from pfa_cli.render import drawn

    parts = drawn.folded(visible(command), drawn.inner(look))
    return drawn.panel("next", [[(part, "bold")] for part in parts], look, "cyan")


def prose(lines: Sequence[str], look: Look) -> str:
    """Format lines of text, on a terminal folded to it."""
    if not look.is_drawn:
        return "\n".join(lines)
    from pfa_cli.render import drawn

    return drawn.prose(lines, look)
