"""One object as a result: names and values for people, {"data": …} as JSON."""

from __future__ import annotations

from typing import Any

from pfa_cli.framework.call import Call
from pfa_cli.render.formats import Format
from pfa_cli.render.output import Sheet, show


def show_facts(call: Call, item: dict[str, Any], *, id_column: str) -> None:
    """Write the object."""
    from pfa_cli.render.tables import facts

    shown = {name: _flat(value) for name, value in item.items()}
    sheet = Sheet(
        id_column=id_column,
        columns=tuple(item),
        items=[item],
        rows=[shown],
        document=lambda: {"data": item, "metadata": {}},
        text=lambda: facts(list(shown.items())),
    )
    show(sheet, call.look(Format.TABLE))
    if call.dry_run:
        call.say("dry run, rolled back")


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{name} ({_flat(inner)})" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else value
