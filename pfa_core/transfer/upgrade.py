"""The upgrade of a database, and of an embedded server to a newer PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfa_core.admin.database import open_database
from pfa_core.config.settings import Settings
from pfa_core.errors import IllegalTransition, InvalidData, InvalidRequest
from pfa_core.store import migrations, whole_database
from pfa_core.store.database import Database
from pfa_core.store.embedded import address, layout, transition
from pfa_core.store.embedded.layout import Place
from pfa_core.store.embedded.transition import Transition
from pfa_core.store.migrations import Attempts, UpgradeReport
from pfa_core.transfer.inspection import InspectedOrganization, inspect
from pfa_core.transfer.programs import Program, run

_MOST_NAMED = 5
_RESTORE = ("--exit-on-error", "--single-transaction")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeResult:
    """The schema's number before and after, and the migrations applied in between.

    Where an embedded server's data came from an older PostgreSQL: `server_before` and `server_after`, its major
    versions, `kept_directory`, where the data of before are, and the `organizations`, as they were verified.
    """

    before: int
    after: int
    applied: Sequence[str]
    server_before: int | None = None
    server_after: int | None = None
    kept_directory: str = ""
    organizations: Sequence[InspectedOrganization] = ()

    @property
    def whole(self) -> bool:
        """Return whether no flaw was found."""
        return not any(one.flaws or one.differences for one in self.organizations)


def upgrade(
    settings: Settings, *, dry_run: bool = False, old_bindir: str | os.PathLike[str] | None = None
) -> UpgradeResult:
    """Apply the migrations that the database lacks; with `dry_run` roll them back.

    An embedded server's data of an older PostgreSQL are first brought over to the one of today: dumped, restored
    beside, upgraded and verified, and only then put in the place of the old ones, which are kept.

    Args:
        old_bindir: The programs of the older PostgreSQL; None: looked for where they are installed.

    Raises:
        InvalidRequest: `old_bindir` is given, and there are no data of an older PostgreSQL.
        ConfigInvalid: The programs of the older PostgreSQL are not found; or of the schema, see
            `migrations.upgrade`.
        IoFailure: There is not enough room.
        InvalidData: The restored rows are not those of before; nothing was changed.
        IllegalTransition: Another upgrade brought the data over meanwhile, or the server has databases that are not
            of pfa.
        SchemaOutdated, Locked: See `migrations.upgrade`.
    """
    root = settings.embedded_dir
    if settings.database_url is None and transition.is_needed(root):
        return _brought_over(settings, Path(old_bindir) if old_bindir else None, dry_run=dry_run)
    if old_bindir:
        raise InvalidRequest(
            f"`old_bindir` is for an embedded server's data of an older PostgreSQL; there are none in {root}"
        )
    attempts = Attempts()
    with open_database(settings, require_schema=False) as db:
        report = db.administer(
            lambda conn: migrations.upgrade(conn, dry_run=dry_run, attempts=attempts)
        )
    return UpgradeResult(before=report.before, after=report.after, applied=report.applied)


def _brought_over(settings: Settings, old_bindir: Path | None, *, dry_run: bool) -> UpgradeResult:
    plan = transition.plan(settings.embedded_dir, old_bindir)
    kept = layout.kept(plan.data)
    with transition.both_running(plan, dry_run=dry_run):
        report, found = _copied(settings, plan)
    return UpgradeResult(
        before=report.before,
        after=report.after,
        applied=report.applied,
        server_before=plan.before,
        server_after=plan.after,
        kept_directory=str(kept),
        organizations=found,
    )


def _copied(
    settings: Settings, plan: Transition
) -> tuple[UpgradeReport, Sequence[InspectedOrganization]]:
    """Restore a dump of the old database into the new one, compare, upgrade, verify."""
    old_place, new_place = plan.place.old, plan.place.new
    dump = plan.place.beside / "pfa.dump"
    with _database(old_place, "pfa") as old:
        if others := old.administer(whole_database.other_databases):
            raise IllegalTransition(
                f"the embedded server has databases that are not of pfa: {', '.join(others[:_MOST_NAMED])};"
                " they would not be brought over; nothing was changed",
                hint="move them elsewhere with the programs of their PostgreSQL, or drop them; then repeat",
            )
        before = old.administer(whole_database.contents)
    # By the programs of its own version: those of another one may be older, and do not leave out what a later minor
    # release keeps in the catalog for itself.
    dumpall = Program(plan.old_programs / "pg_dumpall", plan.before)
    roles = _roles(run(dumpall, ["--roles-only", _at(old_place)], settings, ""))
    with _database(new_place, "postgres") as server:
        server.administer(lambda conn: whole_database.make_embedded(conn, roles))
    words = ["--format=custom", f"--file={dump}", _at(old_place)]
    run(Program(plan.old_programs / "pg_dump", plan.before), words, settings, "")
    words = [*_RESTORE, _at(new_place), str(dump)]
    run(Program(plan.new_programs / "pg_restore", plan.after), words, settings, "")
    dump.unlink()
    with _database(new_place, "pfa") as new:
        _require_equal(before, new.administer(whole_database.contents))
        report = new.administer(migrations.upgrade)
        new.administer(whole_database.analyze)
        return report, new.read(inspect)


def _at(place: Place) -> str:
    return f"--dbname={address.conninfo(place.root)}"


def _roles(script: str) -> list[str]:
    """Select the statements of pg_dumpall that make roles.

    Each server begins with one of them.
    """
    lines = script.splitlines()
    kinds = ("CREATE ROLE ", "ALTER ROLE ", "GRANT ")
    return [line for line in lines if line.startswith(kinds) and line != "CREATE ROLE pfa;"]


def _database(place: Place, name: str) -> Database:
    return Database(address.conninfo(place.root, name), require_schema=False)


def _require_equal(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse a restored database whose rows are not those of before."""
    differing = sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )
    if differing:
        raise InvalidData(
            f"the restored rows are not those of before: {', '.join(differing[:_MOST_NAMED])};"
            " nothing was changed"
        )
