"""Options of the views of `pfa diff` beside its entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.options import OptionGroup
from pfa_cli.framework.talk import Talk
from pfa_core.errors import InvalidRequest
from pfa_core.model.query import Filters

MOST_TOP = 1000  # records, which are held until the last is read


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions(OptionGroup):
    """Which view: groups, records; without any of them the entries."""

    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="NAME",
            help="Sums by reason, session, state, field, category or another dimension.",
        ),
    ] = None
    stat: Annotated[
        bool, typer.Option("--stat", help="Sums by field: in how many records each changes.")
    ] = False
    per: Annotated[
        str | None, typer.Option("--per", metavar="record", help="One line for each record.")
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="NUMBER",
            min=1,
            max=MOST_TOP,
            help="Only the records with the largest cost effect, up or down; one line each.",
        ),
    ] = None
    name_only: Annotated[
        bool, typer.Option("--name-only", help="Only the ids of the records, a line each.")
    ] = False
    chart: Annotated[bool, typer.Option("--chart", help="With --by: the cost effects as bars.")] = (
        False
    )

    def is_chosen(self, sessions: Sequence[str]) -> bool:
        """Return whether another view than the entries is asked for."""
        return self.top is not None or bool(self._chosen(sessions))

    def require_one(self, sessions: Sequence[str], *, limit: int | None, sort: str | None) -> None:
        """Refuse options that exclude each other, or mean nothing in this view.

        Raises:
            InvalidRequest: Naming them.
        """
        chosen = self._chosen(sessions)
        if len(chosen) > 1:
            raise InvalidRequest(f"{' and '.join(chosen)} exclude each other")
        if len(sessions) > 2:
            raise InvalidRequest(f"two sessions at most are compared, not {len(sessions)}")
        if self.per not in (None, "record"):
            raise InvalidRequest(
                f"--per {self.per}: not record", hint="type: pfa diff --per record"
            )
        if self.top is not None and chosen not in ([], ["--per"], ["--name-only"]):
            raise InvalidRequest(f"--top is of records, not of {chosen[0]}")
        if self.chart and self.by is None:
            raise InvalidRequest(
                "--chart draws groups", hint="type: pfa diff --by category --chart"
            )
        if limit is not None and (self.stat or self.by is not None):
            raise InvalidRequest("--limit is of records, not of groups", hint="omit --limit")
        if sort is not None and self.is_chosen(sessions):
            raise InvalidRequest("--sort is of the entries; this view has an order of its own")

    def show(
        self,
        call: Invocation,
        talk: Talk,
        filters: Filters,
        sessions: Sequence[str],
        *,
        limit: int | None,
    ) -> int:
        """Show the view, and return the number of fields that differ."""
        from pfa_cli.commands import review

        if len(sessions) == 2:
            return review.show_sessions(
                call, talk, filters, (sessions[0], sessions[1]), limit=limit
            )
        by = "field" if self.stat else self.by
        if by is not None:
            return review.show_groups(call, talk, filters, sessions, by, chart=self.chart)
        return review.show_records(
            call, talk, filters, sessions, top=self.top, limit=limit, names_only=self.name_only
        )

    def _chosen(self, sessions: Sequence[str]) -> list[str]:
        views = {
            "--by": self.by is not None,
            "--stat": self.stat,
            "--per": self.per is not None,
            "--name-only": self.name_only,
            "two sessions": len(sessions) > 1,
        }
        return [name for name, given in views.items() if given]
