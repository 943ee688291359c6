"""Markdown of generated pages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

MADE = "<!-- Made by docs/generate_reference.py from the code; change the code, then run it. -->"


def page(*parts: str) -> str:
    """Join the parts of a page, with a blank line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table."""
    lines = [_row(names := tuple(header)), _row("---" for _ in names), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def listed(names: Iterable[str]) -> str:
    """Write names as code, with commas between them."""
    return ", ".join(f"`{name}`" for name in names)


def first_line(value: Any) -> str:
    """Return the first paragraph of a docstring on one line."""
    paragraph = (inspect.getdoc(value) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())
