"""Refusals of the option parser in the words of the program."""

from __future__ import annotations

import re
from typing import Any

from pfa_core.model import shell

_OF_OPTION = re.compile(
    r"Invalid value for '?(?P<option>[^':]+)'?(?: / '[^']+')*: (?P<why>.+)", re.DOTALL
)
_EXTRA = re.compile(r"(?:Got )?unexpected extra argument(?:s|\(s\))? \((?P<words>.+)\)")
_BRACKETS = str.maketrans(dict.fromkeys("[]|.", " "))
_UNKNOWN_OPTION = "No such option: "
_SIMILAR = " (Possible options: "  # behind it
# What takes the argument that a command does not.
_INSTEAD = {"pfa fields": "pfa explain"}
_WORDS = (
    (re.compile(r"is not a valid (?:int|integer)(?: range)?$"), "is not a whole number"),
    (re.compile(r"is not a valid float(?: range)?$"), "is not a number"),
    (re.compile(r"is not in the range (\S+?)<=x<=(\S+)$"), r"is not from \1 to \2"),
    (re.compile(r"is not in the range x>=(\S+)$"), r"is less than \1"),
    (re.compile(r"is not in the range x<=(\S+)$"), r"is more than \1"),
)


def hint(message: str, context: Any) -> str:
    """Suggest what to type after a refusal of the parser; empty for none."""
    if context is None:
        return ""
    path = context.command_path
    words = _EXTRA.match(message)
    extra = words["words"].split() if words else []
    if extra and path in _INSTEAD:
        return f"type: {shell.command(_INSTEAD[path], extra)}"
    names = {name for param in context.command.params for name in param.opts}
    if extra and "--id" in names:
        options = [name for name in ("--id", "--session") if name in names]
        return "type: " + ", or ".join(
            " ".join(f"{name} {shell.word(word)}" for word in extra) for name in options
        )
    is_unknown = message.startswith(_UNKNOWN_OPTION) and _SIMILAR not in message
    if is_unknown and (argument := _argument(context.command)):
        return f"type: {path} --help; an argument that begins with a dash: {path} -- {argument}"
    return f"type: {path} --help"


def _argument(command: Any) -> str:
    """Name the command's first argument; empty for none."""
    for param in command.params:
        if param.param_type_name == "argument":
            # As in "[SESSION [OTHER]]", "[FILE|-]" or "[-- PSQL_ARGUMENT...]".
            words = (param.metavar or param.name or "").translate(_BRACKETS).upper().split()
            return next((word for word in words if word[0].isalpha()), "")
    return ""


def in_our_words(message: str) -> str:
    """Rewrite a refusal of the parser: the option, its value, what it has to be."""
    message = message.rstrip(".")
    found = _OF_OPTION.fullmatch(message)
    if not found:
        return message[:1].lower() + message[1:]
    why = found["why"].rstrip(".")
    for pattern, words in _WORDS:
        why = pattern.sub(words, why)
    return f"invalid {found['option']}: {why}"
