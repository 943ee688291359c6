"""Checks of `pfa doctor`: one function for each precondition."""

from __future__ import annotations

import platform
import stat
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pfa_core as core
from pfa_cli.commands.doctor_database import (
    check_data_directory,
    check_database,
    check_disk,
    check_nodes,
    check_replica,
    check_row_level_security,
    check_schema,
    check_upkeep,
)
from pfa_cli.envelopes.checks import Finding
from pfa_cli.framework.invocation import Invocation
from pfa_cli.render import failures
from pfa_cli.render.humanize import ago, count, records_behind
from pfa_core.errors import ConfigInvalid, Internal
from pfa_core.model.gaps import uncosted

if TYPE_CHECKING:
    from pfa_core.config.settings import Settings

OLDEST_PYTHON = (3, 11)
PEMS_CURE = (
    "check PFA_PEMS_URL, PFA_PEMS_USERNAME and PFA_PEMS_PASSWORD_FILE, or ask the operator of PEMS"
)
LARGE_TRAIL, OLD_TRAIL = 5_000_000, timedelta(days=3 * 366)
Check = Callable[[Invocation], Finding | None]


def examine(call: Invocation) -> list[Finding]:
    """Run every check in order; those that need a failed one are skipped."""
    findings: list[Finding] = []
    broken: set[str] = set()
    for name, (check, needs) in CHECKS.items():
        if broken & set(needs):
            finding = Finding(name, "skipped", f"needs {', '.join(sorted(broken & set(needs)))}")
        else:
            finding = _run(name, check, call)
        if finding is None:
            continue
        if finding.result == "problem" or (finding.result == "skipped" and broken & set(needs)):
            broken.add(name)
        findings.append(finding)
    return findings


def _run(name: str, check: Check, call: Invocation) -> Finding | None:
    """Run one check; None: it is about what is not configured."""
    try:
        return check(call)
    except Exception as error:
        failure = failures.of_exception(error)
        return Finding(
            name, "problem", failure.message, cure=failure.hint, exit_code=failure.exit_code
        )


def _python(_call: Invocation) -> Finding:
    found = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return Finding(
            "python",
            "problem",
            found,
            cure="install Python 3.11 or later",
            exit_code=ConfigInvalid.exit_code,
        )
    return Finding("python", "ok", found)


def _configuration(call: Invocation) -> Finding:
    settings = call.settings
    path = settings.config_dir / "config.toml"
    if not path.exists():
        return Finding("configuration", "ok", f"no {path}; optional")
    return Finding("configuration", "ok", f"{path}, profile {settings.profile or 'default'}")


def _key(call: Invocation) -> Finding:
    settings = call.settings
    if settings.jwt_secret:
        return _judged_key(settings, "PFA_JWT_SECRET")
    return _judged_file(settings)


def _judged_file(settings: Settings) -> Finding:
    path = settings.key_file
    if not path.exists():
        cure = "type: pfa init --org CODE, or set PFA_JWT_SECRET"
        return Finding(
            "signing key",
            "problem",
            f"{path} is not there",
            cure=cure,
            exit_code=ConfigInvalid.exit_code,
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    return _judged_key(settings, f"{path}, mode {mode:04o}")


def _judged_key(settings: Settings, source: str) -> Finding:
    from pfa_core.access.tokens import keyring

    length = len(keyring.load(settings).signing.secret.reveal())
    if length < 32:
        cure = "use at least 32 random characters; tokens signed with the old key become invalid"
        return Finding("signing key", "notice", f"{source}: only {length} characters", cure=cure)
    return Finding("signing key", "ok", source)


def _token(call: Invocation) -> Finding:
    info = core.token_info(call.signed_in)
    codes = ", ".join(info.organizations) or "no organization"
    until = f"valid until {info.expires_at:%Y-%m-%d %H:%M} UTC"
    return Finding("token", "ok", f"{info.user_id} in {codes}, {until}, from {info.source}")


def _trail(call: Invocation) -> Finding:
    """Check that the audit trail is not larger or older than it has to be."""
    from pfa_core.admin.upkeep import upkeep_of
    from pfa_core.model.ids import utc_now

    if not _may_read(call):
        return Finding("trail", "skipped", "requires the right read")
    entries = upkeep_of(call.settings).trail_entries
    archives = core.list_archives(call.database, call.principal)
    begin = core.LogFilter(since=archives[-1].before if archives else None)
    first = core.list_log(call.database, call.principal, begin, limit=1, sort="at")
    now = utc_now()
    oldest = first[0].at if first else now
    text = f"about {count(entries, 'entry', 'entries')}, the oldest of {oldest:%Y-%m-%d}"
    if entries <= LARGE_TRAIL and now - oldest <= OLD_TRAIL:
        return Finding("trail", "ok", text)
    year = now.year - 1
    before, file = f"{year}-01-01", f"trail-{year - 1}.jsonl.gz"
    if oldest.year >= year:  # there is nothing of before
        before, file = "90d", f"trail-{now:%Y-%m-%d}.jsonl.gz"
    cure = f"type: pfa log archive --before {before} --to {file}"
    return Finding("trail", "notice", text, cure=cure)


def _membership(call: Invocation) -> Finding:
    if not _may_read(call):
        principal = call.principal
        text = f"{principal.user_id} in {principal.organization_id}, by its token, without the right read"
        return Finding("membership", "ok", text)
    report = core.status(call.database, call.principal)
    text = f"{report.user_id} is {report.role} in {report.organization_id}"
    for one in core.list_organizations(call.database, call.signed_in):
        if one.organization_id == report.organization_id and one.status != "active":
            text += f", which is {one.status}: nothing is exchanged with PEMS"
    return Finding("membership", "ok", text)


def _pems(call: Invocation) -> Finding:
    """Check that PEMS, where configured, answers and accepts the credentials."""
    from pfa_core.model.exchange import Failure, RetryAdvice
    from pfa_core.pems.services.grid_reader import open_reader
    from pfa_core.pems.services.rest import health

    code = call.principal.organization_id
    if not core.pems_configured(call.settings, code):
        return Finding("PEMS", "skipped", "no address is configured; optional with files")
    profile = call.pems()
    found = health(profile)
    failure = found.failure
    if failure is None or failure.advice is not RetryAdvice.RETRY:  # some PEMS lack that service
        with open_reader(profile) as reader:
            page = reader.page(0, 1)
        failure = page if isinstance(page, Failure) else None
    if failure is None:
        return Finding("PEMS", "ok", f"{profile.url} answers in {found.latency * 1000:.0f} ms")
    return Finding(
        "PEMS", "problem", f"{profile.url}: {failure.message}", cure=PEMS_CURE, exit_code=69
    )


def _baseline(call: Invocation) -> Finding:
    from pfa_core.model.ids import utc_now
    from pfa_core.status_summary import OLD_BASELINE

    if not _may_read(call):
        return Finding("baseline", "skipped", "requires the right read")
    report = core.status(call.database, call.principal)
    age = f"{count(report.record_count, 'record')}, last pull {ago(report.baseline_at)}"
    if report.baseline_at is None or utc_now() - report.baseline_at > OLD_BASELINE:
        return Finding("baseline", "notice", age, cure="type: pfa sync pull")
    if report.behind:
        late = records_behind(report.behind, report.behind_since)
        refused = f"{age}; behind PEMS: {late}, refused by the last pull"
        return Finding(
            "baseline", "notice", refused, cure=f"type: pfa sync show {report.behind_run_id}"
        )
    return Finding("baseline", "ok", age)


def _data(call: Invocation) -> Finding:
    """Check that the costs leave nothing out and are of one currency."""
    from pfa_core.model.query import Filters

    if not _may_read(call):
        return Finding("data", "skipped", "requires the right read")
    found = core.compute_stats(call.database, call.principal, Filters())
    gaps = uncosted(found)
    if not gaps:
        return Finding("data", "ok", "nothing is left out of the costs")
    text = "; ".join(gap.text for gap in gaps)
    return Finding("data", "notice", text, cure=f"type: {gaps[0].command}")


def _rows(call: Invocation) -> Finding:
    """Check that no row holds what its table's checks refuse."""
    from pfa_core.model.principal import Right

    if not {Right.READ, Right.MANAGE_SETTINGS} <= call.principal.rights:
        return Finding("rows", "skipped", "requires the right manage_settings")
    found = core.find_bad_rows(call.database, call.principal)
    if not found:
        return Finding("rows", "ok", "every row is within the checks of its table")
    first = found[0]
    text = f"{count(len(found), 'row')} with invalid values: {first.table} {first.row_key}"
    return Finding(
        "rows", "problem", text, cure="type: pfa db verify --repair", exit_code=Internal.exit_code
    )


def _may_read(call: Invocation) -> bool:
    """Tell whether the token may read; a job that only pushes needs no such right."""
    from pfa_core.model.principal import Right

    return Right.READ in call.principal.rights


CHECKS: dict[str, tuple[Check, tuple[str, ...]]] = {
    "python": (_python, ()),
    "configuration": (_configuration, ()),
    "signing key": (_key, ("configuration",)),
    "token": (_token, ("configuration", "signing key")),
    "database": (check_database, ("configuration",)),
    "disk": (check_disk, ("configuration",)),
    "data directory": (check_data_directory, ("configuration", "database")),
    "schema": (check_schema, ("database",)),
    "upkeep": (check_upkeep, ("schema",)),
    "replica": (check_replica, ("schema",)),
    "nodes": (check_nodes, ("schema",)),
    "row-level security": (check_row_level_security, ("schema",)),
    "membership": (_membership, ("token", "schema")),
    "PEMS": (_pems, ("configuration", "token")),
    "baseline": (_baseline, ("membership",)),
    "data": (_data, ("membership",)),
    "rows": (_rows, ("membership",)),
    "trail": (_trail, ("membership",)),
}
