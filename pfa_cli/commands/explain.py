"""`pfa explain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from pfa_cli.envelopes.base import Data
from pfa_cli.envelopes.glossary import Explanation
from pfa_cli.framework.compose import command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import InvalidRequest

app = typer.Typer(rich_markup_mode=None)
_COLUMNS = ("word", "kind", "means")
_CSV = (*_COLUMNS, "next", "exitCode", "retryable")


@command(
    app,
    "explain",
    examples=(
        "pfa explain BASELINE_CONFLICT",
        "pfa explain forecastEnd",
        "pfa explain sync_error",
        "pfa explain dead letter",
        "pfa explain 75",
        "pfa explain -o csv > words.csv",
    ),
    exit_codes="2 there is no such word.",
    columns=_CSV,
)
def explain(
    call: Invocation,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORD]",
            help="An error code, an exit code, a field, a state, a term; without one: all of them.",
        ),
    ] = None,
) -> None:
    """Explain an error code, a field, a state or a term, and what to do.

    Case, blanks, dashes and underscores do not count. A word may have several meanings.
    """
    from pfa_cli.glossary import lookup

    word = " ".join(words or ())
    found = lookup.explain(word) if word else lookup.explanations()
    if not found:
        near = lookup.like(word)
        suggestion = f"; did you mean {near}?" if near else ""
        raise InvalidRequest(f"unknown word {word!r}{suggestion}", hint=_listed(near))
    look = call.look(Format.TABLE if word else Format.TSV)
    sheet = Sheet(
        id_column="word",
        columns=_COLUMNS,
        csv_columns=_CSV,
        items=map(document, found),
        envelope=Data(found),
        text=(lambda: _page(found, look)) if word else None,
    )
    show(sheet, look)


def _listed(near: str) -> str:
    return f"type: pfa explain {near}" if near else "type: pfa explain, which lists all words"


def _page(found: Sequence[Explanation], look: Look) -> str:
    from pfa_cli.render.tables import card

    return "\n\n".join(card(f"{one.word} ({one.kind})", _facts(one), look) for one in found)


def _facts(one: Explanation) -> list[tuple[str, Any]]:
    facts = [
        ("means", one.means),
        ("next", one.next or None),
        ("exit code", None if one.kind == "exit code" else one.exit_code),
        ("try again", None if one.retryable is None else "yes" if one.retryable else "no"),
    ]
    return [(name, value) for name, value in facts if value is not None]
