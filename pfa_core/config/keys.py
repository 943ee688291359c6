"""Table of the keys of a profile: meaning, values, variables, defaults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, cast, get_args, get_origin

from pfa_core.config.pems_source import PEMS_VARIABLES
from pfa_core.config.shape import Profile
from pfa_core.errors import InvalidRequest
from pfa_core.model.record import EDITABLE
from pfa_core.model.suggest import not_one_of
from pfa_core.pems.profile import GridSettings, ScreenSettings, WriterKind

ConfigValue = str | bool | int | float
PEMS, OWNERSHIP, ORGANIZATIONS = "pems", "ownership", "organizations"
_OPTIONS = {
    "organization": "--org",
    "database_url": "--database-url",
    "token_file": "--token-file",
    "output": "-o",
}
_VARIABLES = {
    "organization": ("PFA_ORG",),
    "database_url": ("PFA_DATABASE_URL", "DATABASE_URL"),
    "database_read_url": ("PFA_DATABASE_READ_URL",),
    "database_pooled": ("PFA_DATABASE_POOLED",),
    "token_file": ("PFA_TOKEN_FILE", "PFA_TOKEN"),
    "pems.password_file": ("PFA_PEMS_PASSWORD_FILE", "PFA_PEMS_PASSWORD"),
    **{f"pems.{name}": (variable,) for name, variable in PEMS_VARIABLES.items()},
}
# What holds where nothing is configured, and there is no value that would mean the same.
_OTHERWISE = {
    "organization": "that of the token, where it holds one",
    "database_url": "the embedded server",
    "database_read_url": "that server itself",
    "database_pooled": "detected",
    "token_file": "the file token beside the configuration file",
    "output": "a table on a terminal, tsv or text in a pipe",
    "pems.organization": "the organization's own code",
    "guard.max_records": "no limit but the organization's",
    "guard.max_money": "no limit but the organization's",
    "guard.max_percent": "no limit but the organization's",
}
_DEFAULTS: dict[str, ConfigValue] = {
    "protected": False,
    "pems.writer": str(WriterKind.REST),
    "pems.timeout": 30.0,
    "pems.idempotency_keys": True,
    "pems.retries": 3,
    "pems.retry_delay": 5.0,
    "pems.grid.name": GridSettings().name,
    "pems.grid.id": GridSettings().id,
    "pems.grid.page_size": GridSettings().page_size,
    "pems.grid.timeout": 60.0,
    "pems.screen.name": ScreenSettings().name,
    "pems.screen.timezone": ScreenSettings().timezone,
    "pems.ownership.default": "ask",
}
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
_NOTHING = ("", "none", "null", "unset")  # what is typed to clear a value


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigKey:
    """A key of a profile; `path` leads to it in the profile's table.

    `must` says what a value is, `option` and `variables` what goes before the file, `otherwise` what holds
    where there is neither a value nor a default.
    """

    name: str
    path: tuple[str, ...]
    meaning: str
    must: str
    unit: str
    kind: type
    default: ConfigValue | None = None
    otherwise: str = ""
    option: str = ""
    variables: tuple[str, ...] = ()

    def value_of(self, text: str) -> ConfigValue:
        """Convert what was typed to the type of the key.

        Raises:
            InvalidRequest: It is not of that type.
        """
        try:
            if self.kind is bool:
                return _truth(text)
            if self.kind is not str and not text.isascii():
                raise self.wrong(text)  # digits of other scripts, which no other number takes
            return cast(ConfigValue, self.kind(text))
        except ValueError:
            raise self.wrong(text) from None

    def wrong(self, text: str, reason: str = "") -> InvalidRequest:
        """Make the refusal of a value."""
        hint = f"type: pfa config unset {self.name}" if text.lower() in _NOTHING else ""
        return InvalidRequest(f"{self.name}: {text!r} {reason or f'is not {self.must}'}", hint=hint)


@cache
def config_keys() -> dict[str, ConfigKey]:
    """List the keys that every profile may have, by name."""
    return {key.name: key for key in _keys(Profile, ())}


def find_key(name: str) -> ConfigKey:
    """Find a key by its name, of an organization or a field too.

    Raises:
        InvalidRequest: There is no such key; the nearest one is named.
    """
    name = name.strip()
    if found := config_keys().get(name):
        return found
    path = name.split(".")
    if path[:2] == [PEMS, ORGANIZATIONS] and len(path) > 3:
        return _of_organization(tuple(path))
    if path[:2] == [PEMS, OWNERSHIP] and len(path) == 3:
        return _of_field(name, tuple(path))
    if path[0] == PEMS and path[-1] == "password":
        raise InvalidRequest(
            "the configuration file holds no password",
            hint="put it into a file of mode 0600 and type: pfa config set pems.password_file FILE",
        )
    known = [*config_keys(), "pems.ownership.FIELD", "pems.organizations.CODE.KEY"]
    raise not_one_of(f"unknown key {name!r}", name, known, listed="keys")


def _of_organization(path: tuple[str, ...]) -> ConfigKey:
    inner = find_key(".".join((PEMS, *path[3:])))
    if not path[2] or inner.path[1] == ORGANIZATIONS:
        raise InvalidRequest(
            f"unknown key {'.'.join(path)!r}", hint="like: pems.organizations.RIO.url"
        )
    return ConfigKey(
        name=".".join(path),
        path=path,
        meaning=f"{inner.meaning}; of organization {path[2]} alone",
        must=inner.must,
        unit=inner.unit,
        kind=inner.kind,
    )


def _of_field(name: str, path: tuple[str, ...]) -> ConfigKey:
    if path[2] not in EDITABLE and path[2] != "default":
        raise not_one_of(f"unknown field {path[2]!r}", path[2], EDITABLE, listed="editable fields")
    return ConfigKey(
        name=name,
        path=path,
        meaning=f"whose value of {path[2]} wins in a conflict",
        must="mine, pems or ask",
        unit="",
        kind=str,
    )


def _keys(shape: type[Any], above: tuple[str, ...]) -> Iterator[ConfigKey]:
    """Yield the keys of a shape, of its tables too."""
    for name, field in shape.model_fields.items():
        path = (*above, name)
        kind = _plain(field.annotation)
        if isinstance(kind, type) and hasattr(kind, "model_fields"):
            yield from _keys(kind, path)
        elif name == OWNERSHIP:
            yield _fixed(
                (*path, "default"), str, "whose value wins in a conflict", "mine, pems or ask", ""
            )
        elif name != ORGANIZATIONS:
            extra = field.json_schema_extra or {}
            yield _fixed(
                path, kind, str(field.description), str(extra.get("x-must", "a text")), str(extra.get("x-unit", ""))
            )  # fmt: skip


def _fixed(path: tuple[str, ...], kind: type, meaning: str, must: str, unit: str) -> ConfigKey:
    name = ".".join(path)
    return ConfigKey(
        name=name,
        path=path,
        meaning=meaning,
        must=must,
        unit=unit,
        kind=kind,
        default=_DEFAULTS.get(name),
        otherwise=_OTHERWISE.get(name, ""),
        option=_OPTIONS.get(name, ""),
        variables=_VARIABLES.get(name, ()),
    )


def _plain(kind: Any) -> Any:
    """Return the class of a value: a literal is a text, and None is left out."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if isinstance(kind, UnionType):
        return next(_plain(each) for each in get_args(kind) if each is not type(None))
    return kind if isinstance(kind, type) else str


def _truth(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(text)
