"""Spellings of names: found whatever their case, blanks, underscores and hyphens."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

# Below it other words come up.
_ALIKE = 0.8
_JOINTS = re.compile(r"[\s_\-\ufeff]+")


def folded(name: str) -> str:
    """Return what spellings of one name have in common."""
    return _JOINTS.sub("", name).casefold()


class Spellings:
    """Known names by any of their spellings; of two alike the first one counts."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: Mapping[str, str] = {folded(name): name for name in reversed([*names])}

    def find(self, written: str) -> str | None:
        """Return the known name that is written so, None where none is."""
        return self._names.get(folded(written))

    def nearest(self, written: str, missing: Iterable[str]) -> str:
        """Return the missing name that is most like an unknown one, else empty.

        A name with a word after it, `equipmentTag`, is another name.
        """
        unknown = folded(written)
        candidates = {folded(name): name for name in missing}
        alike = difflib.get_close_matches(unknown, candidates, 1, _ALIKE)
        if not alike or (unknown.startswith(alike[0]) and len(unknown) > len(alike[0]) + 1):
            return ""
        return candidates[alike[0]]
