"""One object as a result: names and values for people, {"data": …} as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pfa_cli.envelopes.base import Data
from pfa_cli.render.formats import Look
from pfa_cli.render.humanize import size
from pfa_cli.render.output import Sheet, show

_BYTES = "Bytes"


def show_facts(item: dict[str, Any], look: Look, *, id_column: str, without: str = "") -> None:
    """Write one object, a line for each of its values.

    Args:
        without: What people read in place of an object that has no id; none where empty.
    """
    from pfa_cli.render.tables import facts

    shown = {name: _flat(value) for name, value in item.items()}
    said = "" if item[id_column] else without
    sheet = Sheet(
        id_column=id_column,
        columns=tuple(item),
        items=[item],
        rows=[shown],
        envelope=Data(item),
        text=lambda: said or facts(list(with_sizes(shown).items()), look),
    )
    show(sheet, look)


def with_sizes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Write numbers of bytes in units, for people.

    `sizeBytes` 4900000 becomes `size` 4.9 MB.
    """
    shown: dict[str, Any] = {}
    for name, value in item.items():
        is_size = name.endswith(_BYTES) and isinstance(value, int)
        shown[name.removesuffix(_BYTES) if is_size else name] = size(value) if is_size else value
    return shown


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{name} ({_flat(inner)})" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else value
