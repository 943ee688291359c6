"""Field maps: the names that PEMS has for fields, the transforms of their values.

[fields]                  alias of the grid = field
pfs_id = "pfaId"
[transforms]              field = a transform, or several in order; see `transforms`
monthlyRate = { multiply = "4.345" }
[defaults]                field = what an empty value means
source = "Rental"
[screen.fields]           name in the user-defined screen = field
PFS_ID = "pfaId"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pfa_core.errors import ConfigInvalid
from pfa_core.model.record import FIELDS
from pfa_core.model.toml_files import exact_number, read_toml
from pfa_core.pems.mapping.steps import Chain, Step, TransformFault
from pfa_core.pems.mapping.transforms import read_step

DEFAULT_FIELDS: Mapping[str, str] = {
    "pfs_id": "pfaId",
    "pfs_a_org": "organization",
    "description": "description",
    "pfs_f_area": "areaSilo",
    "pfs_f_category": "category",
    "pfs_f_catdesc": "forecastCategory",
    "pfs_f_class": "class",
    "pfs_f_source": "source",
    "pfs_f_dor": "dor",
    "pfs_f_actualized": "isActualized",
    "pfs_f_discontinued": "isDiscontinued",
    "pfs_f_fundstrans": "isFundsTransferable",
    "pfs_f_rental": "monthlyRate",
    "pfs_f_purchase": "purchasePrice",
    "pfs_f_rateuom": "rateUom",
    "pfs_f_currency": "currency",
    "pfs_f_manufacturer": "manufacturer",
    "pfs_f_model": "model",
    "pfs_p_projcode": "contract",
    "pfs_equipment_tag": "equipment",
    "pfs_p_startdate": "originalStart",
    "pfs_p_enddate": "originalEnd",
    "pfs_f_startdate": "forecastStart",
    "pfs_f_enddate": "forecastEnd",
    "pfs_a_startdate": "actualStart",
    "pfs_a_enddate": "actualEnd",
    "pfs_lastmodified": "pemsVersion",
}
DEFAULT_SCREEN_FIELDS: Mapping[str, str] = {
    "PFS_ID": "pfaId",
    "PFS_A_ORG": "organization",
    "DESCRIPTION": "description",
    "PFS_A_CORPORATE": "areaSilo",
    "PFS_F_CATEGORY": "category",
    "PFS_F_CATDESC": "forecastCategory",
    "PFS_F_CLASS": "class",
    "PFS_F_SOURCE": "source",
    "PFS_F_DOR": "dor",
    "PFA_ACT": "isActualized",
    "PFA_DIS": "isDiscontinued",
    "PFS_FT": "isFundsTransferable",
    "PFS_F_RATE": "monthlyRate",
    "PFS_F_RATE_UOM": "rateUom",
    "PFS_F_PRICE": "purchasePrice",
    "PFS_F_MANUFACT": "manufacturer",
    "PFS_F_MODEL": "model",
    "PFA_CA_CONTRACT": "contract",
    "PFS_EQUIPMENT": "equipment",
    "PFS_F_STARTDATE": "forecastStart",
    "PFS_F_ENDDATE": "forecastEnd",
}
_TABLES = ("fields", "transforms", "defaults", "screen")


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The names that PEMS has for fields.

    Args:
        fields: Alias of the grid → field.
        chains: Field → transforms of its value.
        screen_fields: Name in the screen → field.
        text: What the chains were read from; maps of equal texts read a value alike. Empty: not known.
    """

    fields: Mapping[str, str] = field(default_factory=lambda: DEFAULT_FIELDS)
    chains: Mapping[str, Chain] = field(default_factory=dict)
    screen_fields: Mapping[str, str] = field(default_factory=lambda: DEFAULT_SCREEN_FIELDS)
    text: str = field(default="", repr=False, compare=False)

    def alias_of(self, name: str) -> str:
        """Return the alias that holds a field, empty where none does."""
        return next((alias for alias, held in self.fields.items() if held == name), "")


def read_field_map(path: Path) -> Mapping[str, str]:
    """Read alias → field of a TOML file with a table `[fields]`.

    Raises:
        ConfigInvalid: The file is missing or not TOML, an unknown field, a field named twice, no pfaId.
    """
    return _fields(_read(path), path)


def load_field_map(path: Path) -> FieldMap:
    """Read a whole field map; without `[screen.fields]` the screen is the default one.

    Raises:
        ConfigInvalid: As `read_field_map`; an unknown table, field or transform; a screen without
            pfaId and organization.
    """
    content = _read(path)
    try:
        return _field_map(content, path)
    except ConfigInvalid as first:
        raise _with_all_faults(first, content) from first.__cause__


def _field_map(content: Mapping[str, Any], path: Path) -> FieldMap:
    unknown = sorted(set(content) - set(_TABLES))
    if unknown:
        raise ConfigInvalid(
            f"the field map {path} has the unknown table [{unknown[0]}]",
            hint=f"tables: {', '.join(_TABLES)}",
        )
    return FieldMap(
        _fields(content, path),
        _chains(content, path),
        _screen_fields(content, path),
        text=repr(content),
    )


def _with_all_faults(first: ConfigInvalid, content: Mapping[str, Any]) -> ConfigInvalid:
    """Add the other faults of a field map to the first one."""
    from pfa_core.pems.mapping.shape import FieldMapFile
    from pfa_core.shapes import find_faults, place_text

    found = find_faults(FieldMapFile, content)
    faults = [
        each.as_fault(f"[{place_text(each.above)}]" if each.above else "field map")
        for each in found
    ]
    number = f" ({len(faults)} problems in all)" if len(faults) > 1 else ""
    return ConfigInvalid(f"{first.message}{number}", hint=first.hint, details=faults)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigInvalid(f"the field map {path} cannot be read: {error.strerror}") from error
    return read_toml(content, f"the field map {path}", number=exact_number)


def _fields(content: Mapping[str, Any], path: Path) -> Mapping[str, str]:
    table = content.get("fields")
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise ConfigInvalid(f'the field map {path} needs a table [fields] of alias = "field"')
    _check_names(table, "aliases", path)
    if "pfaId" not in table.values():
        raise ConfigInvalid(f"the field map {path} does not say which alias is the pfaId")
    return table


def _check_names(table: Mapping[str, str], kind: str, path: Path) -> None:
    unknown = sorted(set(table.values()) - set(FIELDS))
    if unknown:
        raise ConfigInvalid(f"the field map {path} names the unknown field {unknown[0]!r}")
    if len(set(table.values())) != len(table):
        raise ConfigInvalid(f"the field map {path} maps two {kind} to one field")


def _screen_fields(content: Mapping[str, Any], path: Path) -> Mapping[str, str]:
    screen = content.get("screen", {})
    if not isinstance(screen, dict) or set(screen) - {"fields"}:
        raise ConfigInvalid(f"the field map {path}: [screen] may hold [screen.fields] only")
    table = screen.get("fields", DEFAULT_SCREEN_FIELDS)
    if not isinstance(table, Mapping) or not all(isinstance(name, str) for name in table.values()):
        raise ConfigInvalid(f'the field map {path}: [screen.fields] holds name = "field"')
    _check_names(table, "screen names", path)
    for name in ("pfaId", "organization"):
        if name not in table.values():
            raise ConfigInvalid(f"the field map {path}: [screen.fields] does not name the {name}")
    return table


def _chains(content: Mapping[str, Any], path: Path) -> Mapping[str, Chain]:
    transforms, defaults = (_by_field(content, name, path) for name in ("transforms", "defaults"))
    chains: dict[str, Chain] = {}
    for name in [*transforms, *(name for name in defaults if name not in transforms)]:
        default = _default_text(defaults.get(name, ""), name, path)
        chains[name] = Chain(_steps(transforms.get(name, []), name, path), default)
    return chains


def _by_field(content: Mapping[str, Any], table: str, path: Path) -> Mapping[str, Any]:
    found = content.get(table, {})
    if not isinstance(found, dict):
        raise ConfigInvalid(f"the field map {path}: [{table}] must be a table")
    for name in found:
        if name not in FIELDS:
            raise ConfigInvalid(f"the field map {path}: [{table}] names the unknown field {name!r}")
        if name == "pfaId":
            raise ConfigInvalid(f"the field map {path}: [{table}] cannot change the pfaId")
    return found


def _steps(content: Any, name: str, path: Path) -> tuple[Step, ...]:
    try:
        return tuple(map(read_step, content if isinstance(content, list) else [content]))
    except TransformFault as fault:
        raise ConfigInvalid(f"the field map {path}: [transforms] {name}: {fault}") from fault


def _default_text(value: Any, name: str, path: Path) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return format(Decimal(value), "f")
    if not isinstance(value, str):
        raise ConfigInvalid(f"the field map {path}: [defaults] {name} must be a text or a number")
    return value
