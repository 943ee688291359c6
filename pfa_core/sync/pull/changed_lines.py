"""Lines of JSON with the changes of their records.

To write a record takes as long as to parse it. Most of what is pulled differs in nothing or a few fields from what
the mirror keeps, and PostgreSQL reads the line itself as the same record.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pfa_core import exact_json
from pfa_core.model.casts import LEFT_OUT


def changed_line(line: str, changes: Mapping[str, Any]) -> str | None:
    """Return the line with the changes of its record.

    None where it has to be written anew.
    Of two equal keys PostgreSQL takes the last one.

    Args:
        line: An object that the parser has accepted.
    """
    # The parser lets a mark of the byte order pass, and COPY's lines have no tabs and ends of lines.
    if line[:1] != "{" or "\t" in line or "\r" in line or "\n" in line:
        return None
    if not changes:
        return line
    kept = {name: value for name, value in changes.items() if value is not LEFT_OUT}
    if len(kept) < len(changes):
        # A quotation mark is the begin or the end of a text, and each key is one of the record.
        if "\\" in line or line.count("{") > 1:
            return None
        for name in changes.keys() - kept.keys():
            spaced, compact = _nulls(name)
            found = spaced if spaced in line else compact
            if found not in line:
                return None
            line = line.replace(found, "", 1)
    return f"{line[:-1]},{exact_json.dumps(kept)[1:]}" if kept else line


@cache
def _nulls(name: str) -> tuple[str, str]:
    """Return how lines have a field without a value, with and without blanks."""
    return f'"{name}": null, ', f'"{name}":null,'
