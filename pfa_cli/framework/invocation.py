"""One command at work: settings, principal, database, format of the result."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import pfa_core as core
from pfa_cli.framework.common import Common, require_columns
from pfa_cli.framework.kept_values import KeptValues
from pfa_cli.render import streams
from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.streams import Color
from pfa_core.errors import InvalidRequest, PfaError

if TYPE_CHECKING:
    from pathlib import Path

    from pfa_core.config.settings import Flags, Settings
    from pfa_core.drafts.current_session import CurrentSession
    from pfa_core.model.principal import Principal
    from pfa_core.model.view import View
    from pfa_core.pems.profile import PemsNames, PemsProfile
    from pfa_core.store.database import Database


SESSION_VARIABLE = "PFA_SESSION"
NO_CACHE = "PFA_NO_COMPLETION_CACHE"


class Invocation:
    """One command at work; opens principal and database at first use."""

    def __init__(
        self, common: Common, program: Callable[[Sequence[str]], int], *, reports: bool = False
    ) -> None:
        """Start the clock.

        Args:
            common: The options that every command takes.
            program: Runs another command line in this process and returns its exit code.
            reports: The result is a report of what was done, which --quiet leaves out.
        """
        self._reports = reports
        self.common = common
        self.program = program
        self.view: View | None = None  # that the filters name
        self._resources = ExitStack()
        self._learned = KeptValues()
        self._started = time.perf_counter()
        self._has_stored = False

    def __enter__(self) -> Invocation:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close what was opened, and keep what was learned by a command that succeeded."""
        self._resources.close()
        if self._learned and kind is None:
            with suppress(Exception):  # completion is not worth an error
                self._learned.keep(self.settings, self.principal)

    @property
    def reports(self) -> bool:
        """Whether the result is a report of what was done."""
        return self._reports

    @property
    def dry_run(self) -> bool:
        """Whether to roll everything back."""
        return self.common.dry_run

    @property
    def flags(self) -> Flags:
        """The settings of the command line."""
        from pfa_core.config.settings import Flags

        common = self.common
        return Flags(common.org, common.profile, common.database_url, common.token_file)

    @cached_property
    def settings(self) -> Settings:
        """The settings of options, environment and profile.

        An invalid format is refused here: no write precedes the refusal.
        """
        from pfa_core.config.settings import resolve

        common = self.common
        settings = resolve(self.flags, os.environ, stored=self.is_attended)
        _ = common.output or _format(settings.output)
        if common.verbose:
            from pfa_cli.framework.origins import origins

            for line in origins(settings):
                streams.tell(visible(line))
        return settings

    @property
    def is_attended(self) -> bool:
        """Whether choices of the user count: where a person is at a terminal.

        A job of the same user has none, and does what it did before they chose.
        """
        return streams.is_attended()

    @property
    def has_choices(self) -> bool:
        """Whether the user ever chose a session or an organization."""
        from pfa_core.config.choices import choices_file

        return os.path.lexists(choices_file(os.environ))

    @cached_property
    def session(self) -> CurrentSession | None:
        """The session that the user works in, None where there is none."""
        if not (os.environ.get(SESSION_VARIABLE) or self.has_choices):
            return None
        return core.current_session(self.settings, self.principal, stored=self.is_attended)

    @cached_property
    def signed_in(self) -> Settings:
        """The settings, with a renewed token of the embedded server's own user."""
        return core.keep_signed_in(self.settings, lambda: self.database)

    @cached_property
    def principal(self) -> Principal:
        """The user or job that acts, and the organization."""
        return core.authenticate(self.signed_in)

    @cached_property
    def database(self) -> Database:
        """The database, open until the command ends."""
        opened = self._opened_database()
        if self.common.verbose and opened.replica:
            opened.replica.say = lambda sentence: streams.tell(visible(sentence))
        return opened

    def _opened_database(self) -> Database:
        if self.settings.database_url is None and streams.is_terminal(sys.stderr):
            from pfa_cli.framework.progress import ProgressLine

            with ProgressLine(self.common, "step", "starting the embedded database server"):
                return self._resources.enter_context(core.open_database(self.settings))
        return self._resources.enter_context(core.open_database(self.settings))

    def note_stored(self) -> None:
        """Remember that something was stored beside the audit trail of `database`."""
        self._has_stored = True

    @property
    def has_stored(self) -> bool:
        """Whether something was stored that stays, whatever happens to the output."""
        database: Database | None = self.__dict__.get("database")
        return self._has_stored or (database is not None and database.has_changed)

    @property
    def learns(self) -> bool:
        """Whether values are kept for completion.

        A read whose result goes to a program keeps none, and pays nothing for it.
        """
        if self.dry_run or os.environ.get(NO_CACHE):
            return False
        return self._reports or streams.is_terminal(sys.stdout)

    def learn(self, kind: str, values: Iterable[str], *, whole: bool = False) -> None:
        """Keep values for completion when the command has ended.

        Args:
            whole: There are no others.
        """
        if self.learns:
            self._learned.add(kind, values, whole=whole)

    def open(self) -> tuple[Database, Principal]:
        """Open database and principal, and restart the clock."""
        principal = self.principal
        database = self.database
        self._started = time.perf_counter()
        return database, principal

    def pems(self, field_map: Path | None = None) -> PemsProfile:
        """Return the profile of the organization's PEMS.

        Args:
            field_map: Replaces the field map of the settings.

        Raises:
            ConfigInvalid: No address of PEMS is configured, or its credentials are incomplete.
        """
        profile = core.pems_profile(self.settings, self.principal.organization_id)
        if field_map is None:
            return profile
        from pfa_core.pems.mapping.field_map import load_field_map

        return replace(profile, field_map=load_field_map(field_map))

    def pems_names(self) -> PemsNames:
        """Return the names that PEMS has for fields and for the organization.

        Raises:
            ConfigInvalid: An unknown key, a bad field map.
        """
        return core.pems_names(self.settings, self.principal.organization_id)

    def adopt_organization(self, organization_id: str | None, source: str) -> None:
        """Take the organization that an input file names as if --org had named it.

        Raises:
            InvalidRequest: --org names another one.
        """
        if organization_id is None:
            return
        if self.common.org not in (None, organization_id):
            raise InvalidRequest(
                f"{source} is for organization {organization_id!r}, --org is {self.common.org!r}"
            )
        self.common = replace(self.common, org=organization_id)

    @property
    def milliseconds(self) -> float:
        """The time since the database was open."""
        return round((time.perf_counter() - self._started) * 1000, 1)

    @property
    def seconds(self) -> float:
        """The time since the database was open."""
        return round(time.perf_counter() - self._started, 3)

    def require_columns(self, known: tuple[str, ...]) -> None:
        """Refuse other columns, in a command whose columns depend on its arguments.

        Raises:
            InvalidRequest: --columns names another one.
        """
        require_columns(self.common.chosen_columns, known)

    def look(self, default: Format, *, answers: bool = False, lenient: bool = False) -> Look:
        """Choose format, columns and colours of the result.

        Args:
            default: The format for a pipe; a terminal gets a table.
            answers: The result is what was asked for, not a report that --quiet leaves out.
            lenient: The settings may be invalid; the result is about them.

        Raises:
            InvalidRequest: --header with another format than tsv.
        """
        terminal = streams.is_terminal(sys.stdout)
        chosen = self.common.output or self._configured_format(lenient=lenient)
        format_ = chosen or (Format.TABLE if terminal else default)
        if self.common.header and format_ is not Format.TSV:
            raise InvalidRequest(f"--header is of tsv, not of {format_}", hint="add -o tsv")
        return Look(
            format=format_,
            columns=self.common.chosen_columns,
            terminal=terminal,
            colored=streams.colored(sys.stdout, self.common.color or Color.AUTO),
            width=streams.width() if terminal else 0,
            unicode=streams.has_line_drawing(sys.stdout),
            formulas=not self.common.csv_safe,
            header=self.common.header,
            silent=self._reports
            and self.common.quiet
            and not (answers or self.dry_run or self.common.output),
            pager=self._pager(format_) if terminal else (),
            quiet=self.common.quiet,
            indented=terminal and not self.common.compact,
        )

    def _configured_format(self, *, lenient: bool) -> Format | None:
        try:
            return _format(self.settings.output)
        except PfaError:
            if lenient:
                return None
            raise

    def _pager(self, format_: Format) -> tuple[str, ...]:
        """Return the pager of a result for people; formats for programs have none."""
        if self.common.no_pager or format_ not in (Format.TABLE, Format.MARKDOWN):
            return ()
        from pfa_cli.render import pager

        return pager.command(os.environ)


def _format(configured: str | None) -> Format | None:
    if configured is None:
        return None
    try:
        return Format(configured)
    except ValueError:
        raise InvalidRequest(
            f"invalid output format {configured!r}", hint=f"formats: {', '.join(Format)}"
        ) from None
