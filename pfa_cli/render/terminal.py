"""Colours, frames and widths on a terminal; the only importer of rich.

Data arrives with its control characters escaped and is never markup.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import cache

from rich import box
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.panel import Panel
from rich.style import Style
from rich.text import Text

Span = tuple[str, str]  # a text and its style, empty for none
Line = Sequence[Span]


def measure(text: str) -> int:
    """Measure a text in cells of the terminal."""
    return len(text) if text.isascii() else cell_len(text)


def paint(line: Line, *, colored: bool) -> str:
    """Write a line with its styles as ANSI sequences; without colours its text."""
    if not colored:
        return "".join(text for text, _ in line).rstrip()
    last = len(line)
    while last and not line[last - 1][0].strip():
        last -= 1
    return "".join(_styled(text, style) for text, style in line[:last])


def panel(
    title: str, lines: Iterable[Line], *, width: int, colored: bool, unicode: bool, style: str = ""
) -> str:
    """Frame lines under a title.

    Args:
        width: The most that the frame may take, 0 for any; its lines have four cells less.
        unicode: Whether the terminal has box-drawing characters.
    """
    content = Text("\n").join(Text.assemble(*line) for line in lines)
    frame = Panel(
        content,
        title=Text(title) if title else None,
        title_align="left",
        box=box.ROUNDED if unicode else box.ASCII,
        border_style=style,
        expand=False,
    )
    console = Console(
        file=io.StringIO(),
        width=width or 10_000,
        color_system="standard" if colored else None,
        force_terminal=colored,
        force_interactive=False,
        no_color=not colored,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as captured:
        console.print(frame, no_wrap=True, overflow="ignore", crop=False)
    return captured.get().rstrip("\n")


@cache
def _style(name: str) -> Style:
    return Style.parse(name)


def _styled(text: str, style: str) -> str:
    if not style or not text.strip():
        return text
    return _style(style).render(text, color_system=ColorSystem.STANDARD)
