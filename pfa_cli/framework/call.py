"""What one command works with: settings, database, principal, output choices and the clock."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

import pfa_core as core
from pfa_cli import exit_codes
from pfa_cli.framework.common import Common
from pfa_cli.render import failures, streams
from pfa_cli.render.escape import visible
from pfa_cli.render.failures import ErrorFormat, Failure
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.json import camel_case
from pfa_cli.render.streams import Color
from pfa_core.errors import Fault, InvalidRequest

if TYPE_CHECKING:
    from pathlib import Path

    from pfa_core.config.settings import Settings
    from pfa_core.model.principal import Principal
    from pfa_core.model.query import Filters
    from pfa_core.pems.profile import PemsProfile
    from pfa_core.store.database import Database


class Call:
    """One command at work. Database and principal are opened when they are first asked for."""

    def __init__(self, common: Common) -> None:
        """Start the clock; nothing is opened yet."""
        self.common = common
        self.dry_run = common.dry_run
        self.masked = False
        self._noted = False
        self._resources = ExitStack()
        self._started = time.perf_counter()

    def __enter__(self) -> Call:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close what was opened; of what was shown say that money was missing in it."""
        self._resources.close()
        if kind is None:
            self._note_mask()

    @cached_property
    def settings(self) -> Settings:
        """The settings of flags, environment and profile."""
        from pfa_core.config.settings import Flags, resolve

        common = self.common
        flags = Flags(common.org, common.profile, common.database_url, common.token_file)
        settings = resolve(flags, os.environ)
        if common.verbose:
            self._tell_origins(settings)
        return settings

    @cached_property
    def principal(self) -> Principal:
        """Who acts, for which organization."""
        return core.authenticate(self.settings)

    @cached_property
    def database(self) -> Database:
        """The database, open until the command ends."""
        return self._resources.enter_context(core.open_database(self.settings))

    def pems(self, field_map: Path | None = None) -> PemsProfile:
        """The organization's PEMS.

        Args:
            field_map: Instead of the one that the settings name.

        Raises:
            ConfigInvalid: It is not told where PEMS is, or how to get in.
        """
        profile = core.pems_profile(self.settings, self.principal.organization_id)
        if field_map is None:
            return profile
        from pfa_core.pems.mapping.field_map import load_field_map

        return replace(profile, field_map=load_field_map(field_map))

    def open(self) -> tuple[Database, Principal]:
        """Database and principal; the clock starts when they are there."""
        principal = self.principal
        database = self.database
        self._started = time.perf_counter()
        return database, principal

    def belongs_to(self, organization_id: str | None, source: str) -> None:
        """Let the organization that an input file names stand in for --org.

        Raises:
            InvalidRequest: --org names another one.
        """
        if organization_id is None:
            return
        if self.common.org not in (None, organization_id):
            raise InvalidRequest(
                f"{source} is for organization {organization_id!r}, --org says {self.common.org!r}"
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

    def look(self, default: Format) -> Look:
        """How to write the result: format, columns, terminal.

        Args:
            default: The format for a pipe; a terminal gets a table.
        """
        terminal = streams.is_terminal(sys.stdout)
        chosen = self.common.output or self._configured_format()
        return Look(
            format=chosen or (Format.TABLE if terminal else default),
            columns=self._columns(),
            terminal=terminal,
            colored=streams.colored(sys.stdout, self.common.color or Color.AUTO),
            formulas=not self.common.csv_safe,
        )

    def hint(self, text: str) -> None:
        """Say something helpful on stderr, unless --quiet."""
        if text and not self.common.quiet:
            streams.tell(f"hint: {visible(text)}")

    def say(self, text: str) -> None:
        """Say what was done on stderr, unless --quiet."""
        if not self.common.quiet:
            streams.tell(visible(text))

    def nothing_found(self, filters: Filters, otherwise: str = "no record matches") -> None:
        """Say on stderr why filters found nothing: the value that comes nearest to a mistyped one, or that
        there are no records yet; else what is given."""
        if self.common.quiet:
            return
        database, principal = self.database, self.principal
        told = core.nearest_value(database, principal, filters)
        if not told and not core.count_records(database, principal, core.Query()):
            told = f"{principal.organization_id} has no records yet; pfa sync pull brings them"
        self.hint(told or otherwise)

    def partly_done(
        self,
        message: str,
        code: str,
        faults: Sequence[Fault],
        hint: str = "",
        *,
        retryable: bool = False,
    ) -> int:
        """Report what of a command was not done although the rest was; its exit code."""
        self._note_mask()  # the error is the last line
        failure = Failure(code, message, exit_codes.PARTLY_DONE, retryable, hint, faults)
        failures.report(failure, error_style(self.common), self.common.color or Color.AUTO)
        return exit_codes.PARTLY_DONE

    def _note_mask(self) -> None:
        """Say once that money is masked."""
        if self.masked and not self._noted:
            self._noted = True
            code = self.principal.organization_id
            self.say(f"note: money is masked: seeing it takes the right view_financials in {code}")

    def mask(self, *results: Any) -> None:
        """Remember whether money is masked in the results that are about to be shown."""
        self.masked = self.masked or any(result.masked for result in results)

    def metadata(self, **more: Any) -> dict[str, Any]:
        """What every envelope says beside its data."""
        about: dict[str, Any] = {"queryTime": self.milliseconds, **more}
        return about | {"organization": self.principal.organization_id} | self.mark

    @property
    def mark(self) -> dict[str, Any]:
        """`masked` for the metadata, where money is; no word otherwise."""
        return {"masked": True} if self.masked else {}

    def _columns(self) -> tuple[str, ...]:
        names = (self.common.columns or "").split(",")
        return tuple(camel_case(name.strip()) for name in names if name.strip())

    def _configured_format(self) -> Format | None:
        configured = self.settings.output
        if configured is None:
            return None
        try:
            return Format(configured)
        except ValueError:
            known = ", ".join(Format)
            raise InvalidRequest(
                f"output {configured!r} is no format", hint=f"formats: {known}"
            ) from None

    def _tell_origins(self, settings: Settings) -> None:
        profile = settings.profile or "default"
        lines = [f"profile: {profile} in {settings.config_dir / 'config.toml'}"]
        lines += [f"{name}: from {origin}" for name, origin in settings.origin.items()]
        if settings.database_url is None:
            lines.append(f"database: the embedded server in {settings.embedded_dir}")
        lines.append(f"token: {settings.token_source or 'none'}")
        for line in lines:
            streams.tell(visible(line))


def error_style(common: Common) -> ErrorFormat:
    """How to write errors: as asked, else JSON for the programs that read JSON."""
    if common.error_format:
        return common.error_format
    machine = common.output in (Format.JSON, Format.JSONL) and not streams.is_terminal(sys.stderr)
    return ErrorFormat.JSON if machine else ErrorFormat.TEXT


def version() -> str:
    """The version of this program."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("pfa")
    except PackageNotFoundError:
        return "unknown"


def show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    """Print the version and end."""
    if wanted:
        streams.write(f"pfa {version()}\n")
        raise typer.Exit
