"""Candidates for the word under the cursor, each with its description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pfa_cli.completion.line import FLAG, TEXT, Asked

Candidate = tuple[str, str]
FILES = "file"
_SESSION = "session"
_FIELD = "field:"


class Source:
    """Closed sets of the tree, and what `kept` says of other kinds."""

    def __init__(
        self, tree: Mapping[str, Any], asked: Asked, kept: Callable[[str], Sequence[str]]
    ) -> None:
        self._tree, self._asked, self._kept = tree, asked, kept

    def values(self, kind: str, before: str) -> Iterator[str]:
        """Yield the values of a kind that may follow what is there of the word.

        `a|b` is either, `=a,b` are the values themselves.
        """
        for one in kind.split("|"):
            if one.startswith("="):
                yield from one[1:].split(",")
            elif one == "assignment":
                yield from self._assignments(before, self._tree["values"]["editable"])
            elif one == "taking":
                yield from (f"{name}=" for name in self._tree["values"]["editable"])
            elif one == "column":
                yield from self._own("columns")
            elif one not in (FLAG, TEXT, FILES):
                yield from self._tree["values"].get(one) or self._kept(one)

    def _assignments(self, before: str, fields: Sequence[str]) -> Iterator[str]:
        field, equals, _ = before.partition("=")
        if not equals:
            yield from (f"{name}=" for name in fields)
        elif field in fields:
            known = self._tree["values"].get(_FIELD + field) or self._kept(field)
            yield from (f"{field}={value}" for value in known)

    def _own(self, part: str) -> Sequence[str]:
        entry = self._tree["commands"][self._asked.command]
        if not entry.get(part) and entry.get("default"):
            entry = self._tree["commands"][f"{self._asked.command} {entry['default']}"]
        return entry.get(part, ())


def candidates(
    asked: Asked, tree: Mapping[str, Any], kept: Callable[[str], Sequence[str]]
) -> list[Candidate]:
    """List what the word may become, as whole words.

    Args:
        kept: Returns the values that commands kept of a kind.
    """
    if not asked.kind:
        return list(_matching(_options(asked, tree), asked.value))
    found: list[Candidate] = []
    if asked.below:
        found += _commands(asked, tree)
    source = Source(tree, asked, kept)
    found += _values(asked, source)
    return [(asked.prefix + word, text) for word, text in _matching(found, asked.value)]


def _values(asked: Asked, source: Source) -> list[Candidate]:
    if not asked.kind.startswith(","):
        return [(value, "") for value in source.values(asked.kind, asked.value)]
    head, _, last = asked.value.rpartition(",")
    head = f"{head}," if "," in asked.value else ""
    kind = asked.kind.lstrip(",-")
    if asked.kind.startswith(",-") and last.startswith("-"):
        head += "-"
    listed = {name.lstrip("-") for name in head.split(",")}
    return [(head + name, "") for name in source.values(kind, "") if name not in listed]


def _commands(asked: Asked, tree: Mapping[str, Any]) -> list[Candidate]:
    names = tree["commands"][asked.command]["commands"]
    return [(name, tree["commands"][f"{asked.command} {name}".strip()]["help"]) for name in names]


def _options(asked: Asked, tree: Mapping[str, Any]) -> list[Candidate]:
    entry = tree["commands"][asked.command]
    numbers = list(entry["options"])
    if default := entry.get("default"):
        numbers += tree["commands"][f"{asked.command} {default}"]["options"]
    rows = [tree["options"][number] for number in dict.fromkeys(numbers)]
    return [(name, text) for names, _, text in rows for name in names]


def _matching(found: Iterable[Candidate], value: str) -> Iterator[Candidate]:
    """Yield those that begin as the word does, else those that do in another case."""
    rows = list(dict(reversed(list(found))).items())[::-1]
    exact = [row for row in rows if row[0].startswith(value)]
    folded = value.casefold()
    yield from exact or [row for row in rows if row[0].casefold().startswith(folded)]
