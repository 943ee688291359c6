"""Write docs/reference/*.md and docs/life-cycle.md from the code.

    python docs/generate_reference.py

tests/test_docs.py generates them again and fails when a page differs from the code.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import typer  # noqa: E402

import pfa_core  # noqa: E402
from pfa_cli.app import app  # noqa: E402
from pfa_cli.commands.catalog import (  # noqa: E402
    ADMINISTRATION,
    DAILY,
    EXCHANGE,
    SECTIONS,
)
from pfa_cli.commands.catalog import COMMANDS as CATALOG  # noqa: E402
from pfa_cli.framework.filters import FILTERS  # noqa: E402
from pfa_cli.framework.help import EVERYWHERE  # noqa: E402
from pfa_cli.framework.paging import PAGING  # noqa: E402
from pfa_cli.glossary import terms  # noqa: E402
from pfa_cli.glossary.codes import FAULTS  # noqa: E402
from pfa_cli.schemas import line_of, names, read_schema  # noqa: E402
from pfa_cli.schemas.keys import keys_of  # noqa: E402
from pfa_core import errors  # noqa: E402
from pfa_core.config.pems_source import GRID_KEYS, PEMS_KEYS, SCREEN_KEYS  # noqa: E402
from pfa_core.config.settings import PROFILE_KEYS  # noqa: E402
from pfa_core.model.modification import TRANSITIONS, State  # noqa: E402
from pfa_core.model.principal import RIGHTS_OF, SERVICE_RIGHTS, Right, Role  # noqa: E402
from pfa_core.model.record import FIELDS, Field, Kind  # noqa: E402
from pfa_core.model.rights import FIELD_NEEDS, NEEDS, needed_for  # noqa: E402

MADE = "<!-- Made by docs/generate_reference.py from the code; change the code, then run it. -->"

VARIABLES = {
    "PFA_ORG": "organization, where `--org` is not given",
    "PFA_SESSION": "session that drafts are saved in, shown and committed from, where no other is named",
    "PFA_PROFILE": "profile of the configuration file",
    "PFA_DATABASE_URL": "PostgreSQL server to use instead of the embedded one",
    "DATABASE_URL": "the same, read after `PFA_DATABASE_URL`",
    "PFA_TOKEN_FILE": "file with the token; mode 600 or it is refused",
    "PFA_TOKEN": "the token itself, read after `PFA_TOKEN_FILE`",
    "CREDENTIALS_DIRECTORY": "set by systemd: its file `pfa-token` holds the token of a unit with "
    "`LoadCredential=pfa-token:…`, read after `PFA_TOKEN`",
    "PFA_JWT_SECRET": "key that signs and verifies tokens, instead of the key file; "
    "give it 32 characters or more; older keys may follow, see [keys](../security.md#keys)",
    "PFA_EMBEDDED_DIR": "where the embedded server lives, an absolute path; else `/var/lib/pfa` for "
    "root, `$XDG_DATA_HOME/pfa` or `~/.local/share/pfa`",
    "PFA_EMBEDDED_USER": "as root: the OS user the embedded server runs as; else the owner of its "
    "data, else `pfa`, else `nobody`",
    "PFA_PG_BINDIR": "directory of other PostgreSQL binaries for the embedded server",
    "PFA_PEMS_URL": "base address of PEMS, without credentials",
    "PFA_PEMS_USERNAME": "user name of PEMS; comes with a password",
    "PFA_PEMS_PASSWORD": "the password of PEMS",
    "PFA_PEMS_PASSWORD_FILE": "a file of mode 0600 that holds it; wins over the variable",
    "PFA_PEMS_TENANT": "its `tenant` header",
    "PFA_PEMS_ORGANIZATION": "PEMS's code of the organization, where it differs",
    "PFA_PEMS_FIELD_MAP": "field map, where `--field-map` is not given; else the default map",
    "PFA_PEMS_WRITER": "`rest` or `screen`: by which service records are written",
    "PFA_LOG_FORMAT": "text or json: log runs, where `--log-format` is not given",
    "PFA_LOG_FILE": "file that the log of runs is appended to, where `--log-file` is not given; "
    "JSON unless `PFA_LOG_FORMAT` says text",
    "PFA_NO_COMPLETION_CACHE": "set to anything: commands keep no values for completion",
    "XDG_STATE_HOME": "holds `pfa/choices`, what `pfa org use` and `pfa session use` chose; else `~/.local/state`",
    "XDG_CONFIG_HOME": "holds `pfa/config.toml`, the token and the key; else `~/.config`",
    "XDG_DATA_HOME": "holds the embedded server, see above",
    "PFA_PAGER": "command that shows what is longer than the terminal, in place of `PAGER`; empty or `cat`: none",
    "PAGER": "the same, read after `PFA_PAGER`; else `less`, with `LESS=FRX` where that is not set",
    "NO_COLOR": "no colour, whatever the terminal; wins over the next two",
    "FORCE_COLOR": "colours in a pipe too, unless it is `0`",
    "CLICOLOR_FORCE": "the same",
}

NUMBERS = tuple((number, "", "", meaning.means) for number, meaning in terms.EXIT_CODES.items())


# Where the commands and the JSON of each section of the help are.
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


def pages() -> dict[Path, str]:
    """The text of every page that is made from the code."""
    reference = {
        "README.md": index(),
        **{name: commands(section) for section, name in COMMAND_PAGES.items()},
        "options.md": _page("# Options of many commands", MADE, *_shared_options()),
        "fields.md": _page("# Fields", MADE, *_fields()),
        "errors.md": _page("# Errors", MADE, *_codes()),
        "configuration.md": _page("# Configuration", MADE, *_environment()),
        "rights.md": _page("# Roles and rights", MADE, *_roles(), *_rights()),
        "library.md": _page("# Library", MADE, *_library()),
        "json.md": json_shapes(),
        **{name: json_of(section) for section, name in JSON_PAGES.items()},
    }
    return {
        **{ROOT / "docs" / "reference" / name: text for name, text in reference.items()},
        ROOT / "docs" / "glossary.md": glossary(),
        ROOT / "docs" / "life-cycle.md": life_cycle(),
    }


# -- the index --------------------------------------------------------------------------------


def index() -> str:
    """The pages, the commands by section, and every name with the page that explains it."""
    return _page(
        "# Reference",
        MADE,
        "Every command, option, field, code and key, made from the program itself. What belongs together in "
        "a job is in [everyday work](../everyday-work.md), [administration](../administration.md) and "
        "[automation](../automation.md).",
        _table(
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
    yield _table(
        ("command", "does"),
        (
            (_link(name), _summary(command.help or ""))
            for name, command, _ in walk()
            if section_of(name) == section
        ),
    )


def _summary(text: str) -> str:
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


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


def _link(name: str, text: str = "") -> str:
    page = COMMAND_PAGES[section_of(name)]
    return f"[`{text or name}`]({page}#{name.replace(' ', '-')})"


def _names() -> Iterator[str]:
    own: dict[str, list[str]] = {}
    shared: set[str] = set()
    for name, command, context in walk():
        for param in command.get_params(context):
            spellings = (*param.opts, *param.secondary_opts)
            if _panel(param) or param.name == "dry_run":
                shared.update(spellings)
            elif param.param_type_name == "option":
                for spelling in spellings:
                    own.setdefault(spelling, []).append(_link(name, name.removeprefix("pfa ")))
    codes = {*map(str, FAULTS), *(kind.code for kind in _all_errors() if kind.code)}
    yield f"[Options](options.md) of many commands: {_list(sorted(shared, key=_unmarked))}"
    yield "Options of single commands:"
    yield _table(
        ("option", "commands"),
        ((f"`{option}`", ", ".join(own[option])) for option in sorted(own, key=_unmarked)),
    )
    yield f"[Fields](fields.md): {_list(sorted(FIELDS, key=str.lower))}"
    yield f"[Codes](errors.md) of faults and errors: {_list(sorted(codes))}"
    yield f"[Variables](configuration.md): {_list(sorted(VARIABLES))}"
    yield f"[Rights](rights.md): {_list(sorted(Right))}"
    yield "[JSON](json.md): " + ", ".join(f"[{name}]({_page_of_shape(name)})" for name in names())


def _unmarked(option: str) -> str:
    return option.lstrip("-").lower()


def _all_errors() -> Iterator[type[errors.PfaError]]:
    rest = [errors.PfaError]
    while rest:
        kind = rest.pop()
        rest += _kinds_of(kind)
        yield kind


# -- commands ---------------------------------------------------------------------------------


def walk() -> Iterator[tuple[str, Any, Any]]:
    """Every command that does something: its whole name, itself, its context."""
    root = typer.main.get_command(app)
    yield from _walk("pfa", root, typer.Context(root, info_name="pfa"))


def _walk(name: str, command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    if not hasattr(command, "list_commands"):
        yield name, command, context
        return
    for word in command.list_commands(context):
        inner = command.get_command(context, word)
        inner_context = typer.Context(inner, info_name=word, parent=context)
        yield from _walk(f"{name} {word}", inner, inner_context)


def commands(section: str) -> str:
    """The commands of a section: usage, options, examples, exit codes."""
    return _page(f"# Commands: {section}", MADE, *_commands(section))


def _commands(section: str) -> Iterator[str]:
    inside = [item for item in walk() if section_of(item[0]) == section]
    yield " · ".join(
        f"[{name.removeprefix('pfa ')}](#{name.replace(' ', '-')})" for name, _, _ in inside
    )
    for name, command, context in inside:
        yield f"## {name}"
        yield f"```\n{_usage(name, command)}\n```"
        yield inspect.cleandoc(command.help or "")
        own = [param for param in command.get_params(context) if _panel(param) == ""]
        if own:
            yield _table(("", "means"), (_option(param) for param in own))
        yield from _also(command, context)
        yield from _epilog(command)


def _usage(name: str, command: Any) -> str:
    words = [
        param.metavar or param.name.upper()
        for param in command.params
        if param.param_type_name == "argument"
    ]
    return " ".join([name, "[OPTIONS]", *words])


def _panel(param: Any) -> str:
    """The heading under which the help shows a parameter; empty for the command's own."""
    return getattr(param, "rich_help_panel", None) or ("help" if param.name == "help" else "")


def _option(param: Any) -> tuple[str, str]:
    if param.param_type_name == "argument":
        return f"`{param.metavar or param.name.upper()}`", param.help or ""
    names = "/".join([", ".join(param.opts), *param.secondary_opts])
    metavar = "" if param.is_flag else f" {param.metavar or 'N'}"
    words = [param.help or ""]
    if param.required:
        words.append("Required.")
    elif not param.is_flag and isinstance(param.default, str | int) and param.default != "":
        words.append(f"Default: `{param.default}`.")
    return f"`{names}{metavar}`", " ".join(word for word in words if word)


def _also(command: Any, context: Any) -> Iterator[str]:
    panels = {_panel(param) for param in command.get_params(context)}
    links = []
    if FILTERS in panels:
        links.append("[filters](options.md#filters)")
    if PAGING in panels:
        links.append("[order and amount](options.md#order-and-amount)")
    links.append("[options everywhere](options.md#options-everywhere)")
    if any(param.name == "dry_run" for param in command.params):
        links[-1] += " with `-n`"
    yield f"Also: {', '.join(links)}."


def _epilog(command: Any) -> Iterator[str]:
    examples, _, codes = (command.epilog or "").partition("Exit codes: ")
    lines = [line.strip() for line in examples.splitlines() if line.startswith("  ")]
    if lines:
        yield "```sh\n" + "\n".join(lines) + "\n```"
    if codes:
        yield f"Exit codes beside the usual ones: {codes.strip()}"


def _shared_options() -> Iterator[str]:
    panels = {
        EVERYWHERE: (
            "Options everywhere",
            "Before or after the command; the inner one wins. `-n` on every command that writes.",
        ),
        FILTERS: (
            "Filters",
            "All on merged values. Several options narrow (and), one option repeated widens (or). "
            "A value is taken whole, commas and quotes included. Dates are inclusive, on the "
            "forecast. A value that exists nowhere is not an error: no rows, and a hint with the "
            "nearest one.",
        ),
        PAGING: (
            "Order and amount",
            "Ties are broken by pfaId, nulls come last either way, order is by code point.",
        ),
    }
    found: dict[str, dict[str, Any]] = {panel: {} for panel in panels}
    for _, command, context in walk():
        for param in command.get_params(context):
            if _panel(param) in found:
                found[_panel(param)].setdefault(param.name, param)
    for panel, (title, text) in panels.items():
        yield f"## {title}"
        yield text
        yield _table(("option", "means"), map(_option, found[panel].values()))


def _fields() -> Iterator[str]:
    yield (
        "Of a PFA record. Fields that are not here are kept as they come and shown under their own "
        "name. Editable fields may stand in a delta; money is below 10^15 with at most 12 decimals; "
        "a default fills a baseline record that lacks the field. Fields with a filter or sort "
        "column can be sorted by."
    )
    yield _table(
        ("field", "kind", "means", "editable", "sortable", "default"),
        (
            (
                f"`{field.name}`",
                _kind(field),
                field.meaning,
                "yes" if field.editable else "",
                "yes" if field.column else "",
                _default(field),
            )
            for field in FIELDS.values()
        ),
    )


def _kind(field: Field) -> str:
    if field.kind is Kind.CHOICE:
        return " or ".join(f"`{choice}`" for choice in field.choices)
    if field.kind is Kind.TEXT:
        return f"text, at most {field.max_length:,} characters"
    return field.kind.value


def _default(field: Field) -> str:
    if field.default is None:
        return ""
    return {"": "empty", False: "false"}.get(field.default, str(field.default))


def _codes() -> Iterator[str]:
    yield "## Fault codes"
    yield "Of single fields and records, in `details` of an error and in the outcomes of a run."
    yield _table(
        ("code", "means"), ((f"`{code}`", meaning.means) for code, meaning in FAULTS.items())
    )
    yield "## Exit codes"
    yield (
        "The error codes behind each, and whether trying again can help. With `--error-format json` "
        "an error is one line, see [error](json-files.md#error). What a script "
        "does with each is in [automation](../automation.md#act-on-the-exit-code)."
    )
    rows = [*NUMBERS, *_error_rows(errors.PfaError)]
    yield _table(
        ("exit code", "error code", "again", "means"),
        ((str(number), *rest) for number, *rest in sorted(rows, key=lambda row: row[:2])),
    )


def _error_rows(kind: type[errors.PfaError]) -> Iterator[tuple[int, str, str, str]]:
    for inner in _kinds_of(kind):
        if inner.code not in {leaf.code for leaf in _kinds_of(inner)}:
            again = "yes" if inner.retryable else ""
            yield inner.exit_code, f"`{inner.code}`", again, _first_line(inner)
        yield from _error_rows(inner)


def _kinds_of(kind: type[errors.PfaError]) -> list[type[errors.PfaError]]:
    """The errors below one, as drawn in `errors`; private ones of other modules are left out."""
    return [inner for inner in kind.__subclasses__() if inner.__module__ == errors.__name__]


def _environment() -> Iterator[str]:
    yield "## Environment"
    yield (
        "A flag wins over the environment, the environment over the profile, the profile over the "
        "default. `pfa -v …` says where each value came from."
    )
    yield _table(("variable", "means"), ((f"`{name}`", text) for name, text in VARIABLES.items()))
    yield "## Configuration file"
    yield (
        "A profile is a table `[profiles.NAME]` of `pfa/config.toml` in the configuration directory, "
        f"`[profiles.default]` the one taken without a name. Its keys: {_list(PROFILE_KEYS)}; "
        "`pems` is a table. The file must not be writable by others."
    )
    yield (
        f"Keys of `[profiles.NAME.pems]`: {_list(PEMS_KEYS)}; each can be overridden for one "
        "organization in `[profiles.NAME.pems.organizations.CODE]`, and by the variables above. "
        "`password_file` is relative to the configuration directory; a password itself is refused. "
        f"`grid` is a table of {_list(GRID_KEYS)}, `screen` one of {_list(SCREEN_KEYS)}, `ownership` one "
        'of field = `"mine"`, `"pems"` or `"ask"`, its key `default` meaning all others. '
        "`http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` are honoured."
    )


def _roles() -> Iterator[str]:
    yield "## Roles"
    yield (
        "A role is a template of rights; what a member may do is what both token and membership say. "
        "`service` is not one: a job holds what it was issued, of "
        f"{_list(sorted(SERVICE_RIGHTS))} (see [jobs](../security.md#jobs))."
    )
    yield _table(
        ("right", *Role, "allows to"),
        (
            (
                f"`{right}`",
                *("yes" if right in RIGHTS_OF[role] else "" for role in Role),
                terms.RIGHTS[right].means,
            )
            for right in Right
        ),
    )


def _rights() -> Iterator[str]:
    yield "## Rights"
    yield (
        "What each operation takes, checked in the token and in the membership; the commands of the "
        "same name take the same. See [security](../security.md) for what else a right decides."
    )
    yield _table(
        ("operation", "rights"),
        ((f"`{operation}`", _list(needed_for(operation))) for operation in NEEDS),
    )
    yield "What it takes to give a field another value, beside the operation's own rights:"
    fields: dict[tuple[str, ...], list[str]] = {}
    for name, rights in FIELD_NEEDS.items():
        fields.setdefault(tuple(sorted(rights)), []).append(name)
    yield _table(
        ("fields", "rights"), ((_list(names), _list(rights)) for rights, names in fields.items())
    )


def _library() -> Iterator[str]:
    yield (
        "The public names of `pfa_core`. Their docstrings (`python -m pydoc pfa_core.NAME` or your "
        "editor) tell arguments, results and every error a caller can act on."
    )
    names = sorted(set(pfa_core.__all__) - set(pfa_core._EARLIER))
    public = {name: getattr(pfa_core, name) for name in names}
    functions = [name for name, value in public.items() if inspect.isfunction(value)]
    kinds = [name for name, value in public.items() if inspect.isclass(value)]
    modules = [name for name, value in public.items() if inspect.ismodule(value)]
    for title, names in (("Functions", functions), ("Values", kinds), ("Modules", modules)):
        yield f"## {title}"
        for name in names:
            yield f"`{_signature(name, public[name])}`  \n{_first_line(public[name])}"


def _signature(name: str, value: Any) -> str:
    if inspect.ismodule(value):
        return f"pfa_core.{name}"
    if inspect.isclass(value) and issubclass(value, enum.Enum):
        return f"{name}: {', '.join(value)}"
    if hasattr(value, "model_fields"):
        return f"{name}({', '.join(value.model_fields)})"
    if dataclasses.is_dataclass(value):
        return f"{name}({', '.join(_fields_of(value))})"
    signature = inspect.signature(value)
    result = signature.return_annotation
    arrow = "" if result is inspect.Signature.empty else f" -> {_named(result)}"
    return f"{name}({', '.join(_parameters(signature))}){arrow}"


def _fields_of(kind: type[Any]) -> Iterator[str]:
    for field in dataclasses.fields(kind):
        if not field.name.startswith("_"):
            yield field.name


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    before = None
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and before is not parameter.KEYWORD_ONLY:
            yield "*"
        before = parameter.kind
        text = ("*" if parameter.kind is parameter.VAR_POSITIONAL else "") + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {_named(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {_value(parameter.default)}"
        yield text


def _named(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else annotation.__name__


def _value(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)


# -- JSON -------------------------------------------------------------------------------------


def json_shapes() -> str:
    """The keys of everything that is written or read as JSON or TOML."""
    return _page(
        "# JSON",
        MADE,
        "Every key that `pfa` writes with `-o json` or `-o jsonl`, and of the files that it reads. The "
        "same as JSON Schemas: `pfa schema list`, `pfa schema NAME`, `pfa schema COMMAND`, and with "
        "`--line` that of one line of JSONL. A key that is *where known* is absent otherwise.",
        "**What stays.** A key is not renamed or removed, and does not change its type, within the first "
        "number of its schema's version; a new key raises the second. So take what you know and pass over "
        "the rest. Keys are in camel case, but those of `pfa stats` in `data` and `groups`, which are in "
        "snake case. Numbers keep every digit; instants are RFC 3339 in UTC, to the millisecond; `money` "
        "is in the organization's currency and null where it is hidden from you.",
        "**How it looks.** In a pipe JSON is on one line. On a terminal it is indented, but with "
        "`--compact`. JSONL is one value a line everywhere, and an error one line on stderr.",
        *(part for section, page in JSON_PAGES.items() for part in _shape_index(section, page)),
    )


def _shape_index(section: str, page: str) -> Iterator[str]:
    yield f"## [{section or 'Files and errors'}]({page})"
    yield _table(
        ("shape", "commands", "is"),
        (
            (
                f"[{name}]({_page_of_shape(name)})",
                _list(read_schema(name)["x-commands"]),
                read_schema(name)["description"],
            )
            for name in names()
            if _section_of_shape(name) == section
        ),
    )


def json_of(section: str) -> str:
    """The shapes of the commands of a section; of files and errors where it is empty."""
    return _page(
        f"# JSON: {section or 'files and errors'}",
        MADE,
        "Units, versions and what stays are explained in [JSON](json.md).",
        *(part for name in names() if _section_of_shape(name) == section for part in _shape(name)),
    )


def _section_of_shape(name: str) -> str:
    commands = read_schema(name)["x-commands"]
    return section_of(f"pfa {commands[0]}") if commands else ""


def _page_of_shape(name: str) -> str:
    return f"{JSON_PAGES[_section_of_shape(name)]}#{name}"


def _shape(name: str) -> Iterator[str]:
    schema = read_schema(name)
    yield f"## {name}"
    commands = ", ".join(f"`pfa {command}`" for command in schema["x-commands"])
    text = schema["description"]
    text = text[:1].upper() + text[1:]
    yield f"{text}.{f' Of {commands}.' if commands else ''} Version {schema['x-version']}."
    keys = keys_of(schema)
    yield _key_table(keys)
    line = line_of(schema)
    below = {key.key.removeprefix("data[].").removeprefix("data.") for key in keys}
    own = [key for key in (keys_of(line) if line else ()) if key.key not in below]
    if own:
        yield "A line of JSONL has these keys of its own:"
        yield _key_table(own)


def _key_table(keys: Iterable[Any]) -> str:
    return _table(
        ("key", "type", "unit", "there", "means"),
        ((f"`{key.key}`", key.type, key.unit, key.presence, key.means) for key in keys),
    )


# -- the glossary -----------------------------------------------------------------------------


def glossary() -> str:
    """The terms of trade and program, and its closed sets of words."""
    return _page(
        "# Glossary",
        MADE,
        "One line for each word; `pfa explain WORD` says the same. Fields, codes and rights are in the reference: "
        "[fields](reference/fields.md), [errors](reference/errors.md), [rights](reference/rights.md).",
        *_words("Terms", {word: terms.TERMS[word] for word in sorted(terms.TERMS, key=str.lower)}),
        *_words("States of a record in your list", terms.STATES),
        "Which follows which is drawn in the [life cycle](life-cycle.md).",
        *_words("Statuses of a run", terms.RUN_STATUSES),
        *_words("Actions of the audit trail", terms.ACTIONS),
    )


def _words(title: str, meanings: Mapping[Any, terms.Meaning]) -> Iterator[str]:
    yield f"## {title}"
    yield _table(
        ("word", "means", "see"),
        (
            (str(word), meaning.means, f"`{meaning.next}`" if meaning.next[:4] == "pfa " else "")
            for word, meaning in meanings.items()
        ),
    )


# -- the life cycle ---------------------------------------------------------------------------


def life_cycle() -> str:
    """States and verbs, as a table and as a drawing."""
    return _page(
        "# The life cycle of a modification",
        MADE,
        "A modification is a stored delta: one user's changed fields over one record. *Pristine* is "
        "the absence of one. Users save, discard, commit, uncommit and resolve; the other verbs are "
        "those of the pusher, `pfa sync push`.",
        _table(
            ("verb", "from", "to", "by", "guard beyond the state"),
            (
                (
                    f"**{step.verb}**",
                    ", ".join(map(_state, step.sources)),
                    ", ".join(map(_state, step.targets)),
                    step.by,
                    step.guard,
                )
                for step in TRANSITIONS.values()
            ),
        ),
        "```mermaid\nstateDiagram-v2\n" + "\n".join(_arrows()) + "\n```",
        "Everything from draft to conflict overlays the mirror in its user's view. A synced "
        "modification overlays nothing: PEMS has it, and so has the mirror. What is discarded, or "
        "settled because PEMS has all of its values by now or owns the fields, leaves only entries in "
        "the audit trail.",
    )


def _state(state: State) -> str:
    return "*pristine*" if state is State.PRISTINE else str(state)


def _arrows() -> Iterator[str]:
    for step in TRANSITIONS.values():
        for source in step.sources:
            for target in step.targets:
                yield f"    {_node(source)} --> {_node(target)}: {step.verb}"


def _node(state: State) -> str:
    return "[*]" if state is State.PRISTINE else str(state)


# -- Markdown ---------------------------------------------------------------------------------


def _page(*parts: str) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [_row(names := tuple(header)), _row("---" for _ in names), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _first_line(value: Any) -> str:
    paragraph = (inspect.getdoc(value) or "").partition("\n\n")[0]
    return " ".join(paragraph.split())


def main(write: Callable[[Path, str], object] = lambda path, text: path.write_text(text)) -> None:
    """Write every page."""
    (ROOT / "docs" / "reference").mkdir(exist_ok=True)
    for path, text in pages().items():
        write(path, text)


if __name__ == "__main__":
    main()
