"""Sections of the help, and the pages of each."""

from __future__ import annotations

from pfa_cli.commands.catalog import ADMINISTRATION, DAILY, EXCHANGE, SECTIONS
from pfa_cli.commands.catalog import COMMANDS as CATALOG

COMMAND_PAGES = {
    DAILY: "commands-daily.md",
    EXCHANGE: "commands-exchange.md",
    ADMINISTRATION: "commands-administration.md",
}
JSON_PAGES = {
    DAILY: "json-daily.md",
    EXCHANGE: "json-exchange.md",
    ADMINISTRATION: "json-administration.md",
    "": "json-files.md",
}


def section_of(name: str) -> str:
    """The section of the help page that a command is in.

    Raises:
        KeyError: The catalog of commands does not have it.
    """
    begins = {word: section for section, word in SECTIONS.items()}
    found = DAILY
    for word in CATALOG:
        found = begins.get(word, found)
        if word == name.split()[1]:
            return found
    raise KeyError(name)
