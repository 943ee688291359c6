"""Field maps: which alias of PEMS holds which field. Configuration, never code: three are in use."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pfa_core.errors import ConfigInvalid
from pfa_core.model.record import FIELDS


def read_field_map(path: Path) -> Mapping[str, str]:
    """Alias → field of a TOML file with a table `[fields]`.

    Raises:
        ConfigInvalid: No such file, no TOML, an unknown field, a field named twice, no pfaId.
    """
    try:
        with path.open("rb") as file:
            table = tomllib.load(file).get("fields")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"the field map {path} is no valid TOML: {error}") from error
    except OSError as error:
        raise ConfigInvalid(f"the field map {path} cannot be read: {error.strerror}") from error
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise ConfigInvalid(f'the field map {path} needs a table [fields] of alias = "field"')
    unknown = sorted(set(table.values()) - set(FIELDS))
    if unknown:
        raise ConfigInvalid(f"the field map {path} names the unknown field {unknown[0]!r}")
    if len(set(table.values())) != len(table):
        raise ConfigInvalid(f"the field map {path} maps two aliases to one field")
    if "pfaId" not in table.values():
        raise ConfigInvalid(f"the field map {path} does not say which alias is the pfaId")
    return table
