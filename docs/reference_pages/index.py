"""The index of the reference."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from docs.reference_pages.commands import panel_of, walk
from docs.reference_pages.markdown import MADE, listed, page, table
from docs.reference_pages.sections import COMMAND_PAGES, section_of
from docs.reference_pages.shapes import page_of_shape
from docs.reference_pages.tables import VARIABLES, all_errors
from pfa_cli.glossary.codes import FAULTS
from pfa_cli.schemas import names
from pfa_core.model.principal import Right
from pfa_core.model.record import FIELDS


def index() -> str:
    """The pages, the commands by section, and every name with the page that explains it."""
    return page(
        "# Reference",
        MADE,
        "Every command, option, field, code and key, made from the program itself. What belongs together in "
        "a job is in [everyday work](../everyday-work.md), [administration](../administration.md) and "
        "[automation](../automation.md).",
        table(
            ("page", "holds"),
            (
                *(
                    (f"[{section}]({name})", "commands: usage, options, examples, exit codes")
                    for section, name in COMMAND_PAGES.items()
                ),
                ("[options](options.md)", "options everywhere, filters, order and amount"),
                ("[fields](fields.md)", "of a PFA record: kind, meaning, what can be edited"),
                ("[errors](errors.md)", "fault codes, error codes, exit codes"),
                ("[configuration](configuration.md)", "environment variables, profiles, PEMS"),
                ("[rights](rights.md)", "what a role may do, and what each operation takes"),
                ("[JSON](json.md)", "keys of everything that is written or read as JSON"),
                ("[library](library.md)", "the public names of `pfa_core`"),
                ("[life cycle](../life-cycle.md)", "the states of a modification"),
            ),
        ),
        *(part for section in COMMAND_PAGES for part in _command_index(section)),
        "## Index",
        *_names(),
    )


def _command_index(section: str) -> Iterator[str]:
    yield f"## {section}"
    yield table(
        ("command", "does"),
        (
            (_link(name), _summary(command.help or ""))
            for name, command, _ in walk()
            if section_of(name) == section
        ),
    )


def _summary(text: str) -> str:
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


def _link(name: str, text: str = "") -> str:
    page = COMMAND_PAGES[section_of(name)]
    return f"[`{text or name}`]({page}#{name.replace(' ', '-')})"


def _names() -> Iterator[str]:
    own: dict[str, list[str]] = {}
    shared: set[str] = set()
    for name, command, context in walk():
        for param in command.get_params(context):
            spellings = (*param.opts, *param.secondary_opts)
            if panel_of(param) or param.name == "dry_run":
                shared.update(spellings)
            elif param.param_type_name == "option":
                for spelling in spellings:
                    own.setdefault(spelling, []).append(_link(name, name.removeprefix("pfa ")))
    codes = {*map(str, FAULTS), *(kind.code for kind in all_errors() if kind.code)}
    yield f"[Options](options.md) of many commands: {listed(sorted(shared, key=_unmarked))}"
    yield "Options of single commands:"
    yield table(
        ("option", "commands"),
        ((f"`{option}`", ", ".join(own[option])) for option in sorted(own, key=_unmarked)),
    )
    yield f"[Fields](fields.md): {listed(sorted(FIELDS, key=str.lower))}"
    yield f"[Codes](errors.md) of faults and errors: {listed(sorted(codes))}"
    yield f"[Variables](configuration.md): {listed(sorted(VARIABLES))}"
    yield f"[Rights](rights.md): {listed(sorted(Right))}"
    yield "[JSON](json.md): " + ", ".join(f"[{name}]({page_of_shape(name)})" for name in names())


def _unmarked(option: str) -> str:
    return option.lstrip("-").lower()
