"""Pages of fields, codes, configuration and rights."""

from __future__ import annotations

from collections.abc import Iterator

from docs.reference_pages.markdown import first_line, listed, table
from pfa_cli.glossary import terms
from pfa_cli.glossary.codes import FAULTS
from pfa_core import errors
from pfa_core.config.pems_source import GRID_KEYS, PEMS_KEYS, SCREEN_KEYS
from pfa_core.config.settings import PROFILE_KEYS
from pfa_core.model.principal import RIGHTS_OF, SERVICE_RIGHTS, Right, Role
from pfa_core.model.record import FIELDS, Field, Kind
from pfa_core.model.rights import FIELD_NEEDS, NEEDS, needed_for

VARIABLES = {
    "PFA_ORG": "organization, where `--org` is not given",
    "PFA_SESSION": "session that drafts are saved in, shown and committed from, where no other is named",
    "PFA_PROFILE": "profile of the configuration file",
    "PFA_DATABASE_URL": "PostgreSQL server to use instead of the embedded one",
    "DATABASE_URL": "the same, read after `PFA_DATABASE_URL`",
    "PFA_DATABASE_READ_URL": "replica of that server, which reads ask; see "
    "[scale](../scale.md#read-from-a-replica)",
    "PFA_DATABASE_POOLED": "`1`: a pooler lies between; `prepared`: one that keeps prepared statements; `0`: none; "
    "else it is detected; see [scale](../scale.md#work-behind-a-pooler)",
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
    "XDG_STATE_HOME": "holds `pfa/choices`, what `pfa org use` and `pfa session use` chose, and how far a replica "
    "must have come; else `~/.local/state`",
    "XDG_CONFIG_HOME": "holds `pfa/config.toml`, the token and the key; else `~/.config`",
    "XDG_DATA_HOME": "holds the embedded server, see above",
    "PFA_PAGER": "command that shows what is longer than the terminal, in place of `PAGER`; empty or `cat`: none",
    "PAGER": "the same, read after `PFA_PAGER`; else `less`, with `LESS=FRX` where that is not set",
    "NO_COLOR": "no colour, whatever the terminal; wins over the next two",
    "FORCE_COLOR": "colours in a pipe too, unless it is `0`",
    "CLICOLOR_FORCE": "the same",
}

NUMBERS = tuple((number, "", "", meaning.means) for number, meaning in terms.EXIT_CODES.items())


def fields() -> Iterator[str]:
    """Describe the fields of a record."""
    yield (
        "Of a PFA record. Fields that are not here are kept as they come and shown under their own "
        "name. Editable fields may stand in a delta; money is below 10^15 with at most 12 decimals; "
        "a default fills a baseline record that lacks the field. Fields with a filter or sort "
        "column can be sorted by."
    )
    yield table(
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


def codes() -> Iterator[str]:
    """Describe the codes of faults and errors, and exit codes."""
    yield "## Fault codes"
    yield "Of single fields and records, in `details` of an error and in the outcomes of a run."
    yield table(
        ("code", "means"), ((f"`{code}`", meaning.means) for code, meaning in FAULTS.items())
    )
    yield "## Exit codes"
    yield (
        "The error codes behind each, and whether trying again can help. With `--error-format json` "
        "an error is one line, see [error](json-files.md#error). What a script "
        "does with each is in [automation](../automation.md#act-on-the-exit-code)."
    )
    rows = [*NUMBERS, *_error_rows(errors.PfaError)]
    yield table(
        ("exit code", "error code", "again", "means"),
        ((str(number), *rest) for number, *rest in sorted(rows, key=lambda row: row[:2])),
    )


def _error_rows(kind: type[errors.PfaError]) -> Iterator[tuple[int, str, str, str]]:
    for inner in kinds_of(kind):
        if inner.code not in {leaf.code for leaf in kinds_of(inner)}:
            again = "yes" if inner.retryable else ""
            yield inner.exit_code, f"`{inner.code}`", again, first_line(inner)
        yield from _error_rows(inner)


def kinds_of(kind: type[errors.PfaError]) -> list[type[errors.PfaError]]:
    """The errors below one, as drawn in `errors`; private ones of other modules are left out."""
    return [inner for inner in kind.__subclasses__() if inner.__module__ == errors.__name__]


def environment() -> Iterator[str]:
    """Describe variables and the configuration file."""
    yield "## Environment"
    yield (
        "A flag wins over the environment, the environment over the profile, the profile over the "
        "default. `pfa -v …` says where each value came from."
    )
    yield table(("variable", "means"), ((f"`{name}`", text) for name, text in VARIABLES.items()))
    yield "## Configuration file"
    yield (
        "A profile is a table `[profiles.NAME]` of `pfa/config.toml` in the configuration directory, "
        f"`[profiles.default]` the one taken without a name. Its keys: {listed(PROFILE_KEYS)}; "
        "`pems` is a table. The file must not be writable by others."
    )
    yield (
        f"Keys of `[profiles.NAME.pems]`: {listed(PEMS_KEYS)}; each can be overridden for one "
        "organization in `[profiles.NAME.pems.organizations.CODE]`, and by the variables above. "
        "`password_file` is relative to the configuration directory; a password itself is refused. "
        f"`grid` is a table of {listed(GRID_KEYS)}, `screen` one of {listed(SCREEN_KEYS)}, `ownership` one "
        'of field = `"mine"`, `"pems"` or `"ask"`, its key `default` meaning all others. '
        "`http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` are honoured."
    )


def roles() -> Iterator[str]:
    """Describe what each role may do."""
    yield "## Roles"
    yield (
        "A role is a template of rights; what a member may do is what both token and membership say. "
        "`service` is not one: a job holds what it was issued, of "
        f"{listed(sorted(SERVICE_RIGHTS))} (see [jobs](../security.md#jobs))."
    )
    yield table(
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


def rights() -> Iterator[str]:
    """Describe what each operation takes."""
    yield "## Rights"
    yield (
        "What each operation takes, checked in the token and in the membership; the commands of the "
        "same name take the same. See [security](../security.md) for what else a right decides."
    )
    yield table(
        ("operation", "rights"),
        ((f"`{operation}`", listed(needed_for(operation))) for operation in NEEDS),
    )
    yield "What it takes to give a field another value, beside the operation's own rights:"
    fields: dict[tuple[str, ...], list[str]] = {}
    for name, rights in FIELD_NEEDS.items():
        fields.setdefault(tuple(sorted(rights)), []).append(name)
    yield table(
        ("fields", "rights"), ((listed(names), listed(rights)) for rights, names in fields.items())
    )


def all_errors() -> Iterator[type[errors.PfaError]]:
    """Yield every error class."""
    rest = [errors.PfaError]
    while rest:
        kind = rest.pop()
        rest += kinds_of(kind)
        yield kind
