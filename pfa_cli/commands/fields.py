"""`pfa fields`."""

from __future__ import annotations

from typing import Any

import typer

from pfa_cli.envelopes.base import Data
from pfa_cli.envelopes.glossary import FieldInfo
from pfa_cli.framework.compose import command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show

app = typer.Typer(rich_markup_mode=None)
_COLUMNS = ("field", "kind", "unit", "editable", "sortable", "filters", "means")
_CSV = ("field", "kind", "type", "unit", "editable", "money", "sortable", "filters", "choices", "default",
        "maxLength", "means")  # fmt: skip
_RANKED = ("field", "kind", "unit", "editable", "sortable", "filters", "means")


@command(
    app,
    "fields",
    examples=("pfa fields", "pfa fields -o json", "pfa fields --columns field,choices,default"),
    columns=_CSV,
)
def fields(call: Invocation) -> None:
    """List the fields of a record: kind, unit, what may be done with them.

    pfa draft set takes those that are editable, --sort those that are sortable. Without sign-in.
    """
    from pfa_cli.glossary.fields import field_infos

    found = field_infos()
    sheet = Sheet(
        id_column="field",
        columns=_COLUMNS,
        csv_columns=_CSV,
        ranked=_RANKED,
        items=map(document, found),
        rows=map(_row, found),
        envelope=Data(found),
    )
    show(sheet, call.look(Format.TSV))


def _row(field: FieldInfo) -> dict[str, Any]:
    return {
        **document(field),
        "filters": ", ".join(field.filters),
        "choices": ", ".join(field.choices),
    }
