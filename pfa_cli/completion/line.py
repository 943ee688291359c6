"""The word under the cursor: of which command, and as what it would be read.

The words before it are read as the program reads them, without refusing anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

FLAG, TEXT = "flag", "text"


class Asked(NamedTuple):
    """What completion is asked for.

    Args:
        kind: What the word is; empty: an option or a command.
        prefix: The part of the word before its value, `--category=` for instance.
        value: What is there of the value.
        command: The whole name of the command; empty: the program itself.
        given: Values of options on the line, the last one of each.
        used: The options on the line.
        below: Whether a command of the group may follow.
    """

    kind: str
    prefix: str
    value: str
    command: str
    given: Mapping[str, str]
    used: frozenset[str]
    below: bool = False


class _Reader:
    """The line as far as it is read."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self.tree = tree
        self.command = ""
        self.waiting = ""  # the option whose value comes next
        self.given: dict[str, str] = {}
        self.used: set[str] = set()
        self.arguments = 0
        self.only_arguments = False
        self.kinds = self._kinds()

    def read(self, word: str) -> None:
        if self.waiting:
            self.given[self.waiting], self.waiting = word, ""
        elif word == "--" and not self.only_arguments:
            self.only_arguments = True
        elif self.is_option(word):
            self._option(word)
        elif not self.arguments and word in self.entry.get("commands", ()):
            self.command = f"{self.command} {word}".strip()
            self.kinds = self._kinds()
        else:
            self._argument()

    def is_option(self, word: str) -> bool:
        return word.startswith("-") and len(word) > 1 and not self.only_arguments

    @property
    def entry(self) -> Mapping[str, Any]:
        return self.tree["commands"][self.command]

    def argument_kind(self) -> str:
        arguments = self._own()["arguments"]
        if self.arguments < len(arguments):
            return arguments[self.arguments][0]
        return arguments[-1][0] if arguments and arguments[-1][1] else TEXT

    def _option(self, word: str) -> None:
        name, equals, value = word.partition("=")
        if not word.startswith("--") and name not in self.kinds:
            name, equals, value = word[:2], word[2:], word[2:]
        self.used.add(name)
        if equals:
            self.given[name] = value
        elif self.kinds.get(name, FLAG) != FLAG:
            self.waiting = name

    def _argument(self) -> None:
        self._enter_default()
        self.arguments += 1

    def _enter_default(self) -> None:
        if default := self.entry.get("default"):
            self.command = f"{self.command} {default}"
            self.kinds = self._kinds()

    def _own(self) -> Mapping[str, Any]:
        default = self.entry.get("default")
        return self.tree["commands"][f"{self.command} {default}"] if default else self.entry

    def _kinds(self) -> dict[str, str]:
        options = [self.tree["options"][number] for number in self._numbers()]
        return {name: kind for names, kind, _ in options for name in names}

    def _numbers(self) -> Sequence[int]:
        return list(dict.fromkeys((*self.entry["options"], *self._own()["options"])))


def read_line(words: Sequence[str], current: str, tree: Mapping[str, Any]) -> Asked:
    """Find out what the word under the cursor would be.

    Args:
        words: Those before it, without the program's name.
    """
    words = words[1:] if words[:1] == ["help"] else words
    reader = _Reader(tree)
    for word in words:
        reader.read(word)
    kind, prefix, below = _kind(reader, current)
    return Asked(
        kind=kind,
        prefix=prefix,
        value=current[len(prefix) :],
        command=reader.command,
        given=reader.given,
        used=frozenset(reader.used),
        below=below,
    )


def _kind(reader: _Reader, current: str) -> tuple[str, str, bool]:
    if reader.waiting:
        return reader.kinds[reader.waiting], "", False
    if reader.is_option(current) or (current == "-" and not reader.only_arguments):
        name, equals, _ = current.partition("=")
        if equals and name.startswith("--"):
            return reader.kinds.get(name, TEXT), f"{name}=", False
        short = current[:2]
        if not current.startswith("--") and reader.kinds.get(short, FLAG) != FLAG:
            return (reader.kinds[short], short, False) if len(current) > 2 else ("", "", False)
        return "", "", False
    below = not reader.arguments and bool(reader.entry.get("commands"))
    kind = reader.argument_kind()
    return "" if kind == TEXT and not current and not below else kind, "", below
